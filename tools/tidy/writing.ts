import { posix } from 'node:path';
import ts from 'typescript';
import { ENVIRONMENT_READERS } from './projects.js';
import { commentsOf, isProduction, locate, walk, type SourceFile } from './source-file.js';

/** Files that a tool loads by their default export. */
const DEFAULT_EXPORTS_ALLOWED =
  /^([\w.-]+\.config\.mjs|tools\/closing-line-reporter\.mjs|testing\/jest-global-\w+\.mjs)$/;

/** Readers of the environment beside those that the table names. */
export function environmentReaders(files: readonly SourceFile[]): string[] {
  return report(
    files.filter(({ path }) => !ENVIRONMENT_READERS.includes(path)),
    (node) => (readsEnvironment(node) ? 'reads the environment; that is what loadConfig is for' : undefined),
  );
}

function readsEnvironment(node: ts.Node): boolean {
  if (ts.isPropertyAccessExpression(node)) return isProcess(node.expression) && node.name.text === 'env';
  if (ts.isElementAccessExpression(node)) {
    return isProcess(node.expression) && /^['"`]env['"`]$/.test(node.argumentExpression.getText());
  }
  if (
    ts.isVariableDeclaration(node) &&
    node.initializer !== undefined &&
    ts.isObjectBindingPattern(node.name)
  ) {
    return (
      isProcess(node.initializer) && node.name.elements.some((element) => element.getText().startsWith('env'))
    );
  }
  return (
    ts.isImportDeclaration(node) &&
    /^['"](node:)?process['"]$/.test(node.moduleSpecifier.getText()) &&
    /\benv\b/.test(node.importClause?.getText() ?? '')
  );
}

function isProcess(node: ts.Expression): boolean {
  return /^(globalThis\.)?process$/.test(node.getText());
}

/** Left-over notes that point to no issue. */
export function unownedNotes(files: readonly SourceFile[]): string[] {
  return files.flatMap((file) =>
    commentsOf(file)
      .filter(({ text }) => /\b(TODO|FIXME|XXX|HACK)\b(?!\(#\d+\))/.test(text))
      .map(
        ({ position }) => `${locate(file, position)}: write TODO(#n) with the number of an issue, or do it`,
      ),
  );
}

/** Default exports, outside the files that a tool loads by theirs. */
export function defaultExports(files: readonly SourceFile[]): string[] {
  return report(
    files.filter(({ path }) => !DEFAULT_EXPORTS_ALLOWED.test(path)),
    (node) => {
      const isDefault =
        ts.isExportAssignment(node) ||
        (ts.isExportSpecifier(node) && node.name.text === 'default') ||
        (ts.canHaveModifiers(node) &&
          node.modifiers?.some(({ kind }) => kind === ts.SyntaxKind.DefaultKeyword));
      return isDefault ? 'exports a default; export by name' : undefined;
    },
  );
}

/**
 * Casts in production code that do not say, on their line or in the two lines above, why the compiler is overruled. Those
 * to `const` and from `any` to `unknown` do not overrule it.
 */
export function unexplainedCasts(files: readonly SourceFile[]): string[] {
  return files
    .filter(({ path }) => isProduction(path))
    .flatMap((file) => {
      const lines = file.text.split('\n');
      return report([file], (node) => {
        if (!ts.isAsExpression(node) && !ts.isTypeAssertionExpression(node)) return undefined;
        if (/^(const|(readonly )?unknown(\[\])?)$/.test(node.type.getText())) return undefined;
        const { line } = file.ast.getLineAndCharacterOfPosition(node.type.getStart(file.ast));
        const around = lines.slice(Math.max(0, line - 2), line + 1).join('\n');
        return /\/\/|\*\//.test(around) ? undefined : 'casts without a comment that says why';
      });
    });
}

/** Files that only pass on what others export, beside each library's src/index.ts. */
export function barrels(files: readonly SourceFile[]): string[] {
  return files
    .filter(({ path }) => !/^(libs\/[^/]+|embedded|testing)\/src\/index\.ts$/.test(path))
    .filter(({ path, ast }) => {
      const passesOn =
        ast.statements.length > 0 && ast.statements.every((node) => ts.isExportDeclaration(node));
      return passesOn || /^index\./.test(posix.basename(path));
    })
    .map(({ path }) => `${path}: import from the file that has it`);
}

/** Interfaces named I…, which say nothing that the type does not. */
export function prefixedInterfaces(files: readonly SourceFile[]): string[] {
  return report(files, (node) =>
    ts.isInterfaceDeclaration(node) && /^I[A-Z][a-z]/.test(node.name.text)
      ? `drop the I of ${node.name.text}`
      : undefined,
  );
}

function report(files: readonly SourceFile[], judge: (node: ts.Node) => string | undefined): string[] {
  return files.flatMap((file) => {
    const found: string[] = [];
    walk(file.ast, (node) => {
      const problem = judge(node);
      if (problem !== undefined) found.push(`${locate(file, node.getStart(file.ast))}: ${problem}`);
    });
    return found;
  });
}
