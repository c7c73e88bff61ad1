import { posix } from 'node:path';
import ts from 'typescript';
import { importsOf } from './imports.js';
import { PROJECTS, projectOf } from './projects.js';
import { isSpec, isSpecKit, walk, type SourceFile } from './source-file.js';

/** Which file loads which others: path to paths. */
export type Graph = ReadonlyMap<string, readonly string[]>;

const APP_FOLDER = /^(apps\/[^/]+\/src\/[^/]+)\//;
const WIRING = /^apps\/gateway\/src\/relay\/relay(\.service)?\.ts$|\.controller\.ts$/;

/** The import graph of the repository's own files. Imports of a library go to its index. */
export function importGraph(files: readonly SourceFile[]): Graph {
  const known = new Set(files.map(({ path }) => path));
  return new Map(
    files.map((file) => {
      const targets = importsOf(file).map(({ specifier }) => resolve(file.path, specifier, known));
      return [file.path, [...new Set(targets.filter((target) => target !== undefined))]];
    }),
  );
}

/** Groups of files that import each other in a circle. */
export function fileCycles(graph: Graph): string[] {
  return cyclesOf(graph).map((group) => group.join(' <-> '));
}

/**
 * Groups of an app's folders that import each other in a circle, each with the imports that tie it. Three things tie no
 * folders together: the files beside the folders, which wire them; controllers and the flow of the relay, which call
 * every step; and leaves such as an error table, which import nothing of their app.
 */
export function folderCycles(graph: Graph): string[] {
  const ties = [...graph].flatMap(([from, targets]) =>
    targets.filter((to) => tiesFolders(from, to, graph)).map((to) => ({ from, to })),
  );
  const edges = new Map<string, string[]>();
  for (const { from, to } of ties) {
    edges.set(folderOf(from), [...(edges.get(folderOf(from)) ?? []), folderOf(to)]);
  }
  return cyclesOf(edges).flatMap((group) => [
    group.join(' <-> '),
    ...ties
      .filter(({ from, to }) => group.includes(folderOf(from)) && group.includes(folderOf(to)))
      .map(({ from, to }) => `  ${from} -> ${to}`),
  ]);
}

function tiesFolders(from: string, to: string, graph: Graph): boolean {
  const areInFolders = [from, to].every((path) => APP_FOLDER.test(path));
  if (!areInFolders || folderOf(from) === folderOf(to) || isSpec(from)) return false;
  const isLeaf = (graph.get(to) ?? []).every((target) => !APP_FOLDER.test(target));
  return !WIRING.test(from) && !WIRING.test(to) && !isLeaf;
}

function folderOf(path: string): string {
  return APP_FOLDER.exec(path)?.[1] ?? '';
}

/** Files of a project that its entries do not load, and files for specs that no spec loads. */
export function deadFiles(files: readonly SourceFile[]): string[] {
  const graph = new Map([...importGraph(files)]);
  const known = new Set(files.map(({ path }) => path));
  for (const file of files) {
    graph.set(file.path, [...(graph.get(file.path) ?? []), ...filesNamedIn(file, known)]);
  }
  const entries = PROJECTS.flatMap(({ path, entries: names }) => names.map((name) => `${path}/${name}`));
  const production = reachableFrom(entries, graph);
  const tests = reachableFrom([...known].filter(isSpec), graph);
  return files
    .map(({ path }) => path)
    .filter((path) => projectOf(path) !== undefined && !isSpec(path) && !production.has(path))
    .filter((path) => !tests.has(path) || !isForTests(path))
    .map((path) => `${path}: nothing that runs loads it`);
}

function isForTests(path: string): boolean {
  return isSpecKit(path) || /^(testing|e2e|tools)\//.test(path);
}

/** Strings such as './main.js' that are handed to a loader, a worker or a child process. */
function filesNamedIn(file: SourceFile, known: ReadonlySet<string>): string[] {
  const found: string[] = [];
  walk(file.ast, (node) => {
    if (!ts.isStringLiteralLike(node) || !/^\.{0,2}\/?[\w./-]+\.m?[jt]s$/.test(node.text)) return;
    const target = resolve(file.path, node.text.startsWith('.') ? node.text : `./${node.text}`, known);
    if (target !== undefined) found.push(target);
  });
  return found;
}

function resolve(from: string, specifier: string, known: ReadonlySet<string>): string | undefined {
  if (!specifier.startsWith('.')) {
    const project = PROJECTS.find(({ name }) => name === specifier);
    return project === undefined ? undefined : `${project.path}/src/index.ts`;
  }
  const target = posix.join(posix.dirname(from), specifier);
  const built = target.replace('/dist/', '/src/');
  return [target, target.replace(/\.js$/, '.ts'), built.replace(/\.js$/, '.ts')].find((path) =>
    known.has(path),
  );
}

function reachableFrom(entries: readonly string[], graph: Graph): Set<string> {
  const seen = new Set(entries);
  for (const path of seen) for (const target of graph.get(path) ?? []) seen.add(target);
  return seen;
}

/** The nodes that can reach themselves, grouped by those that reach each other, each group sorted. */
function cyclesOf(graph: Graph): string[][] {
  const reach = new Map([...graph.keys()].map((node) => [node, reachableFrom(graph.get(node) ?? [], graph)]));
  const circular = [...graph.keys()].filter((node) => reach.get(node)?.has(node));
  const groups = new Map<string, string[]>();
  for (const node of circular) {
    const group = circular
      .filter((other) => reach.get(node)?.has(other) && reach.get(other)?.has(node))
      .sort();
    groups.set(group.join('\n'), group);
  }
  return [...groups.values()];
}
