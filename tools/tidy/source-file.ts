import { readFileSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import ts from 'typescript';

/** One file of the repository, parsed. `path` is relative to the root, with forward slashes. */
export interface SourceFile {
  readonly path: string;
  readonly text: string;
  readonly ast: ts.SourceFile;
}

/** Where our own code lives. Anything else in the root is configuration. */
const CODE_FOLDERS = ['apps', 'libs', 'embedded', 'testing', 'e2e', 'benchmarks', 'chaos', 'tools'];
const IGNORED_FOLDERS = new Set(['node_modules', 'dist', 'data', 'coverage', '.nx', '.git']);
const CODE_FILE = /\.(ts|mts|mjs|js)$/;

/** Parses text as the file that it would be at `path`. */
export function parseSource(path: string, text: string): SourceFile {
  const kind = path.endsWith('ts') ? ts.ScriptKind.TS : ts.ScriptKind.JS;
  const ast = ts.createSourceFile(path, text, { languageVersion: ts.ScriptTarget.ES2022 }, true, kind);
  return { path, text, ast };
}

/** Reads and parses every code file of the repository at `root`. */
export function readSources(root: string): SourceFile[] {
  const inRoot = readdirSync(root).filter((name) => CODE_FILE.test(name));
  const inFolders = CODE_FOLDERS.flatMap((folder) => codePaths(root, folder));
  return [...inRoot, ...inFolders].map((path) => parseSource(path, readFileSync(join(root, path), 'utf8')));
}

function codePaths(root: string, folder: string): string[] {
  if (statSync(join(root, folder), { throwIfNoEntry: false }) === undefined) return [];
  return readdirSync(join(root, folder), { withFileTypes: true }).flatMap((entry) => {
    const path = `${folder}/${entry.name}`;
    if (entry.isDirectory()) return IGNORED_FOLDERS.has(entry.name) ? [] : codePaths(root, path);
    return CODE_FILE.test(entry.name) ? [path] : [];
  });
}

/** Specs of all sizes. */
export function isSpec(path: string): boolean {
  return /\.(spec|int-spec|e2e-spec)\.ts$/.test(path);
}

/** Code that a shipped process can load: not specs, not what only specs use. */
export function isProduction(path: string): boolean {
  return /^(apps|libs|embedded)\//.test(path) && !isSpec(path) && !isSpecKit(path);
}

/** What several specs use together and no process does: a conformance suite, a builder of fixtures. */
export function isSpecKit(path: string): boolean {
  return /(-conformance|\.spec-kit)\.ts$/.test(path);
}

/** Calls `visit` for every node below `root`, and for `root`. */
export function walk(root: ts.Node, visit: (node: ts.Node) => void): void {
  visit(root);
  ts.forEachChild(root, (child) => {
    walk(child, visit);
  });
}

/** "path:line" of a node, as editors and terminals link it. */
export function locate(file: SourceFile, position: number): string {
  const { line } = file.ast.getLineAndCharacterOfPosition(position);
  return `${file.path}:${String(line + 1)}`;
}

/** Every comment of a file, once, with its position. */
export function commentsOf(file: SourceFile): { readonly text: string; readonly position: number }[] {
  const found = new Map<number, string>();
  walk(file.ast, (node) => {
    const ranges = [
      ...(ts.getLeadingCommentRanges(file.text, node.getFullStart()) ?? []),
      ...(ts.getTrailingCommentRanges(file.text, node.getEnd()) ?? []),
    ];
    // Inside a template literal "//" is text: its parts have no comments around them.
    if (ts.isTemplateMiddleOrTemplateTail(node) || ts.isTemplateHead(node) || ts.isTemplateSpan(node)) return;
    for (const range of ranges) found.set(range.pos, file.text.slice(range.pos, range.end));
  });
  return [...found].map(([position, text]) => ({ text, position }));
}
