import { posix } from 'node:path';
import ts from 'typescript';
import { isProduction, isSpec, locate, walk, type SourceFile } from './source-file.js';

const DRAWERS =
  /^(utils?|helpers?|common|shared|core|misc|types?|interfaces?|constants?|enums?|dtos?|managers?|lib)$/;

/** Words that the glossary replaces, as they would stand in a name, and the word to use. */
const NEVER_WORDS: readonly (readonly [RegExp, string])[] = [
  [/^(?!.*\b(postgres|notify|listen)\b).*\bchannels?\b/, 'deployment (or notify channel, of Postgres)'],
  [/\btenants?\b/, 'account'],
  [/\b(current user|user ids?|users)\b/, 'account or caller'],
  [/\bvendors?\b/, 'provider'],
  [/(?<!insufficient )\bquotas?\b/, 'cost, limit or budget'],
  [/\b(model|group|price) ratios?\b/, 'rate'],
  [/\brecharges?\b/, 'top-up'],
  [/\bcredits left\b/, 'available'],
  [/\b(post|pre) consume\b/, 'settle or hold'],
  [/^charge (account|user|caller|usage|request)\b/, 'settle'],
  [/\b(api|access|secret) tokens?\b/, 'API key'],
  [/\b(lease|leases|leased)\b/, 'escrow or hold'],
  [/\b(model|provider|price) registry\b/, 'catalog'],
  [/\bengines?\b/, 'model'],
];

/** A declared name, in words: `minimumChargeNano` is "minimum charge nano". */
interface DeclaredName {
  readonly words: string;
  readonly text: string;
  readonly node: ts.Node;
}

/** Folders and files that are drawers: their names do not say what is inside. */
export function drawers(paths: readonly string[]): string[] {
  return paths.flatMap((path) => {
    const parts = path.split('/');
    const base = posix.basename(path).replace(/\.(spec|int-spec|e2e-spec)?\.?[a-z]+$/, '');
    const found = [...parts.slice(0, -1), base].find((part) => DRAWERS.test(part));
    return found === undefined ? [] : [`${path}: "${found}" does not say what is inside`];
  });
}

/** Names that use a word which the glossary replaces by another. */
export function glossaryProblems(files: readonly SourceFile[]): string[] {
  return files.flatMap((file) => {
    const inNames = declaredNames(file).flatMap(({ words, text, node }) =>
      badWords(words).map(
        (word) => `${locate(file, node.getStart(file.ast))}: ${text}; the word here is ${word}`,
      ),
    );
    const inPath = badWords(toWords(posix.basename(file.path))).map(
      (word) => `${file.path}: the word here is ${word}`,
    );
    return [...inPath, ...inNames, ...reservationsOutsideTheDatabase(file)];
  });
}

/** Numbers and amounts without a unit, or with the unit before the end. */
export function unitProblems(files: readonly SourceFile[]): string[] {
  return files
    .filter(({ path }) => isProduction(path) && !path.endsWith('.entity.ts'))
    .flatMap((file) =>
      declaredNames(file).flatMap(({ words, text, node }) => {
        const problem = unitProblem(words, node);
        return problem === undefined ? [] : [`${locate(file, node.getStart(file.ast))}: ${text} ${problem}`];
      }),
    );
}

/** Names of tests that say what should be instead of what is. */
export function hesitantTestNames(files: readonly SourceFile[]): string[] {
  return files
    .filter(({ path }) => isSpec(path))
    .flatMap((file) => {
      const found: string[] = [];
      walk(file.ast, (node) => {
        if (!ts.isCallExpression(node) || !/^(it|test)\b/.test(node.expression.getText(file.ast))) return;
        const title = node.arguments[0];
        if (title === undefined || !ts.isStringLiteralLike(title) || !/^should\b/i.test(title.text)) return;
        found.push(`${locate(file, node.getStart(file.ast))}: say what it does: "${title.text}"`);
      });
      return found;
    });
}

function badWords(words: string): string[] {
  return NEVER_WORDS.filter(([pattern]) => pattern.test(words)).map(([, better]) => better);
}

/** A reservation is the row of a hold: only the libraries that know rows may say the word. */
function reservationsOutsideTheDatabase(file: SourceFile): string[] {
  if (!isProduction(file.path) || /^libs\/(persistence|ledger)\//.test(file.path)) return [];
  return declaredNames(file)
    .filter(({ words }) => /\breservations?\b/.test(words))
    .map(({ text, node }) => `${locate(file, node.getStart(file.ast))}: ${text}; the word here is hold`);
}

function unitProblem(words: string, node: ts.Node): string | undefined {
  if (/\b(timeout|delay|interval|ttl|backoff|lifetime)\b/.test(words) && isNumber(node)) {
    return /\b(ms|seconds|minutes|hours|days)$/.test(words) ? undefined : 'has no unit at its end';
  }
  if (/(^|\s)(amount|cost|balance)$/.test(words) && isBigint(node)) return 'does not end in Nano';
  return /^(nano|pico|ms|ppm) (?!.*\bper\b)\w/.test(words)
    ? 'begins with its unit; units come last'
    : undefined;
}

function isNumber(node: ts.Node): boolean {
  if (ts.isVariableDeclaration(node)) {
    return node.initializer !== undefined && ts.isNumericLiteral(node.initializer);
  }
  return typeOf(node)?.kind === ts.SyntaxKind.NumberKeyword;
}

function isBigint(node: ts.Node): boolean {
  return typeOf(node)?.kind === ts.SyntaxKind.BigIntKeyword;
}

function typeOf(node: ts.Node): ts.TypeNode | undefined {
  if (ts.isPropertySignature(node) || ts.isPropertyDeclaration(node)) return node.type;
  return ts.isParameter(node) || ts.isVariableDeclaration(node) ? node.type : undefined;
}

/** Names that a file declares itself. Members of object literals are left out: third parties choose many of them. */
function declaredNames(file: SourceFile): DeclaredName[] {
  const found: DeclaredName[] = [];
  walk(file.ast, (node) => {
    const name = isDeclaration(node) ? node.name : undefined;
    if (name === undefined || !ts.isIdentifier(name)) return;
    found.push({ words: toWords(name.text), text: name.text, node });
  });
  return found;
}

function isDeclaration(node: ts.Node): node is ts.NamedDeclaration & { readonly name?: ts.Node } {
  return (
    ts.isVariableDeclaration(node) ||
    ts.isFunctionDeclaration(node) ||
    ts.isClassDeclaration(node) ||
    ts.isInterfaceDeclaration(node) ||
    ts.isTypeAliasDeclaration(node) ||
    ts.isMethodDeclaration(node) ||
    ts.isPropertyDeclaration(node) ||
    ts.isPropertySignature(node) ||
    ts.isParameter(node)
  );
}

function toWords(name: string): string {
  return name
    .replace(/([a-z\d])([A-Z])/g, '$1 $2')
    .replace(/([A-Z])([A-Z][a-z])/g, '$1 $2')
    .replace(/[_.-]+/g, ' ')
    .trim()
    .toLowerCase();
}
