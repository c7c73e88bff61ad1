import { builtinModules } from 'node:module';
import { posix } from 'node:path';
import ts from 'typescript';
import { PROJECTS, PURE_PACKAGES, RESTRICTED_PACKAGES, SPECS_MAY_IMPORT, projectOf } from './projects.js';
import { isProduction, isSpec, isSpecKit, locate, walk, type SourceFile } from './source-file.js';

/** One import, re-export, dynamic import or require, as written. */
export interface Import {
  readonly file: SourceFile;
  readonly specifier: string;
  readonly position: number;
}

/** All imports of a file. */
export function importsOf(file: SourceFile): Import[] {
  const found: Import[] = [];
  const add = (node: ts.Node | undefined): void => {
    if (node === undefined || !ts.isStringLiteralLike(node)) return;
    found.push({ file, specifier: node.text, position: node.getStart(file.ast) });
  };
  walk(file.ast, (node) => {
    if (ts.isImportDeclaration(node) || ts.isExportDeclaration(node)) add(node.moduleSpecifier);
    if (ts.isImportTypeNode(node) && ts.isLiteralTypeNode(node.argument)) add(node.argument.literal);
    if (ts.isCallExpression(node) && isModuleLoader(node.expression)) add(node.arguments[0]);
  });
  return found;
}

function isModuleLoader(callee: ts.Expression): boolean {
  return (
    callee.kind === ts.SyntaxKind.ImportKeyword || (ts.isIdentifier(callee) && callee.text === 'require')
  );
}

/** Imports that the dependency table does not allow: apps by anybody, other projects by another way than their name. */
export function forbiddenProjectImports(files: readonly SourceFile[]): string[] {
  return files.flatMap((file) => importsOf(file).flatMap((found) => judgeProjectImport(found)));
}

function judgeProjectImport({ file, specifier, position }: Import): string[] {
  const from = projectOf(file.path);
  if (from === undefined) return [];
  const at = locate(file, position);
  if (specifier.startsWith('.')) {
    const target = projectOf(posix.join(posix.dirname(file.path), specifier));
    return target === from
      ? []
      : [`${at}: ${specifier} leaves ${from.path}; import the other project by its name`];
  }
  if (!specifier.startsWith('@tollgate/')) return [];
  if (!PROJECTS.some((project) => project.name === specifier)) {
    return [`${at}: ${specifier} is not the name of a library`];
  }
  const allowed =
    isSpec(file.path) || isSpecKit(file.path) ? [...from.mayImport, ...SPECS_MAY_IMPORT] : from.mayImport;
  if (allowed.includes(specifier) || specifier === from.name) return [];
  return [`${at}: ${from.path} may not import ${specifier}`];
}

/** Uses of a third-party package outside the projects that own it, and I/O in pure libraries. */
export function forbiddenPackageImports(files: readonly SourceFile[]): string[] {
  return files
    .filter(({ path }) => /^(apps|libs|embedded)\//.test(path))
    .flatMap((file) => importsOf(file).flatMap((found) => judgePackageImport(found)));
}

function judgePackageImport({ file, specifier, position }: Import): string[] {
  const project = projectOf(file.path);
  if (project === undefined || specifier.startsWith('.') || specifier.startsWith('@tollgate/')) return [];
  const owners = RESTRICTED_PACKAGES[packageName(specifier)];
  if (owners !== undefined && !owners.includes(project.path)) {
    return [`${locate(file, position)}: ${specifier} is used only in ${owners.join(', ')}`];
  }
  const isPure = project.tag === 'pure' || project.tag === 'contract';
  if (!isPure || !isProduction(file.path) || PURE_PACKAGES.includes(specifier)) return [];
  return [`${locate(file, position)}: ${project.path} is pure and may not import ${specifier}`];
}

/** Imports of packages that the root package.json does not declare; shipped code needs them in `dependencies`. */
export function undeclaredPackages(
  files: readonly SourceFile[],
  declared: { readonly dependencies: readonly string[]; readonly devDependencies: readonly string[] },
): string[] {
  const known = new Set([...declared.dependencies, ...declared.devDependencies]);
  const shipped = new Set(declared.dependencies);
  return files.flatMap((file) =>
    importsOf(file).flatMap(({ specifier, position }) => {
      if (/^(\.|node:|@tollgate\/)/.test(specifier)) return [];
      const at = locate(file, position);
      if (builtinModules.includes(specifier)) return [`${at}: write node:${specifier}`];
      const name = packageName(specifier);
      if (isProduction(file.path) && !shipped.has(name)) return [`${at}: ${name} is not in dependencies`];
      return known.has(name) ? [] : [`${at}: ${name} is not declared in package.json`];
    }),
  );
}

function packageName(specifier: string): string {
  return specifier.split('/', specifier.startsWith('@') ? 2 : 1).join('/');
}
