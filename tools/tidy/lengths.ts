import ts from 'typescript';
import { locate, walk, type SourceFile } from './source-file.js';

export const FILE_LINES_MAX = 500;
export const FUNCTION_LINES_MAX = 70;
const RELAY_FILE_LINES_MAX = 150;
const RELAY_FUNCTION_LINES_MAX = 40;

type FunctionNode = ts.FunctionLikeDeclaration & { readonly body: ts.Node };

/** Files that are too long to be read in one go. */
export function longFiles(files: readonly SourceFile[]): string[] {
  return files
    .map((file) => ({ path: file.path, lines: countLines(file) }))
    .filter(({ lines }) => lines > FILE_LINES_MAX)
    .map(({ path, lines }) => `${path}: ${String(lines)} lines, at most ${String(FILE_LINES_MAX)}`);
}

/**
 * Functions that do not fit on a screen. `describe` blocks are sections of a file, not functions: they are not measured
 * and their lines do not count for a function around them.
 */
export function longFunctions(files: readonly SourceFile[]): string[] {
  return files.flatMap((file) =>
    functionsOf(file)
      .map((node) => ({ node, lines: functionLines(file, node) }))
      .filter(({ lines }) => lines > FUNCTION_LINES_MAX)
      .map(({ node, lines }) => {
        const at = locate(file, node.getStart(file.ast));
        return `${at}: ${nameOf(node)} has ${String(lines)} lines, at most ${String(FUNCTION_LINES_MAX)}`;
      }),
  );
}

/** The file that rots first in every gateway: short, and one exported function that reads like the table of steps. */
export function relayProblems(relay: SourceFile): string[] {
  const lines = countLines(relay);
  const exported = relay.ast.statements.filter(isExported);
  const functions = exported.flatMap(exportedFunctions);
  const problems = functions
    .map((node) => ({ name: nameOf(node), lines: functionLines(relay, node) }))
    .filter((found) => found.lines > RELAY_FUNCTION_LINES_MAX)
    .map(
      (found) =>
        `${found.name} has ${String(found.lines)} lines, at most ${String(RELAY_FUNCTION_LINES_MAX)}`,
    );
  if (lines > RELAY_FILE_LINES_MAX) {
    problems.push(`${String(lines)} lines, at most ${String(RELAY_FILE_LINES_MAX)}`);
  }
  if (functions.length !== 1) problems.push(`exports ${String(functions.length)} functions, not one`);
  if (exported.some((node) => ts.isClassDeclaration(node))) {
    problems.push('exports a class; the flow is a function');
  }
  return problems.map((problem) => `${relay.path}: ${problem}`);
}

function countLines(file: SourceFile): number {
  return file.text.trimEnd().split('\n').length;
}

function functionsOf(file: SourceFile): FunctionNode[] {
  const found: FunctionNode[] = [];
  walk(file.ast, (node) => {
    if (isFunctionWithBody(node) && !isDescribeCallback(node)) found.push(node);
  });
  return found;
}

function functionLines(file: SourceFile, node: FunctionNode): number {
  let describes = 0;
  ts.forEachChild(node.body, function count(child) {
    if (isDescribeCallback(child)) describes += linesBetween(file, child.getStart(file.ast), child.getEnd());
    else ts.forEachChild(child, count);
  });
  // Decorators and comments before the name are not the function's length.
  return linesBetween(file, (node.name ?? node).getStart(file.ast), node.getEnd()) - describes;
}

function linesBetween(file: SourceFile, start: number, end: number): number {
  return (
    file.ast.getLineAndCharacterOfPosition(end).line - file.ast.getLineAndCharacterOfPosition(start).line + 1
  );
}

function isFunctionWithBody(node: ts.Node): node is FunctionNode {
  return ts.isFunctionLike(node) && 'body' in node && node.body !== undefined;
}

function isDescribeCallback(node: ts.Node): boolean {
  if (!ts.isArrowFunction(node) && !ts.isFunctionExpression(node)) return false;
  return ts.isCallExpression(node.parent) && /^describe\b/.test(node.parent.expression.getText());
}

function isExported(statement: ts.Statement): boolean {
  if (!ts.canHaveModifiers(statement)) return false;
  return ts.getModifiers(statement)?.some(({ kind }) => kind === ts.SyntaxKind.ExportKeyword) ?? false;
}

function exportedFunctions(statement: ts.Statement): FunctionNode[] {
  if (isFunctionWithBody(statement)) return [statement];
  if (!ts.isVariableStatement(statement)) return [];
  return statement.declarationList.declarations.flatMap(({ initializer }) =>
    initializer !== undefined && isFunctionWithBody(initializer) ? [initializer] : [],
  );
}

function nameOf(node: ts.FunctionLikeDeclaration): string {
  if (node.name !== undefined) return node.name.getText();
  const parent: ts.Node = node.parent;
  if (ts.isVariableDeclaration(parent) || ts.isPropertyAssignment(parent)) return parent.name.getText();
  return ts.isConstructorDeclaration(node) ? 'constructor' : 'a function';
}
