import { posix } from 'node:path';
import { PROJECTS, projectOf, type Project } from './projects.js';
import { importsOf } from './imports.js';
import { isProduction, type SourceFile } from './source-file.js';

/** Reads a text file by its path from the root, or null where there is none. */
export type ReadText = (path: string) => string | null;

/** Apps, libraries and other workspaces that do not say what they are. */
export function missingReadmes(readText: ReadText, projects: readonly Project[] = PROJECTS): string[] {
  return projects
    .filter(({ tag, path }) => tag !== null && (readText(`${path}/README.md`) ?? '').trim() === '')
    .map(({ path }) => `${path}/README.md is missing or empty`);
}

/**
 * Workspaces whose package.json or tsconfig.json says something else than the dependency table: the one Nx tag, the
 * dependencies on other projects, the project references.
 */
export function manifestProblems(
  files: readonly SourceFile[],
  readText: ReadText,
  projects: readonly Project[] = PROJECTS,
): string[] {
  return projects
    .filter(({ tag }) => tag !== null)
    .flatMap((project) => {
      const imported = importedBy(project, files);
      return judgeManifest(project, imported, readText).map((problem) => `${project.path}: ${problem}`);
    });
}

function judgeManifest(project: Project, imported: ReadonlySet<string>, readText: ReadText): string[] {
  const manifest = parseObject(readText(`${project.path}/package.json`));
  const tags = parseObject(manifest.nx).tags;
  const dependencies = Object.keys(parseObject(manifest.dependencies));
  const references = referencesOf(project, readText);
  const own = dependencies.filter((name) => name.startsWith('@tollgate/'));
  return [
    ...(JSON.stringify(tags) === JSON.stringify([project.tag])
      ? []
      : [`its Nx tags are not ["${String(project.tag)}"]`]),
    ...own.filter((name) => !project.mayImport.includes(name)).map((name) => `may not depend on ${name}`),
    ...own
      .filter((name) => !references.includes(name))
      .map((name) => `tsconfig.json has no reference to ${name}`),
    ...references
      .filter((name) => !own.includes(name))
      .map((name) => `package.json does not depend on ${name}`),
    ...[...imported]
      .filter((name) => !own.includes(name))
      .map((name) => `imports ${name} without depending on it`),
    ...dependencies
      .filter((name) => !own.includes(name))
      .map((name) => `${name} is third-party: declare it in the root package.json`),
  ];
}

function importedBy(project: Project, files: readonly SourceFile[]): Set<string> {
  return new Set(
    files
      .filter(
        ({ path }) => projectOf(path) === project && (isProduction(path) || /^testing\/.*\.ts$/.test(path)),
      )
      .flatMap((file) => importsOf(file).map(({ specifier }) => specifier))
      .filter((specifier) => specifier.startsWith('@tollgate/') && specifier !== project.name),
  );
}

function referencesOf(project: Project, readText: ReadText): string[] {
  const { references } = parseObject(readText(`${project.path}/tsconfig.json`));
  if (!Array.isArray(references)) return [];
  return references.map((reference: unknown) => {
    const path = posix.join(project.path, String(parseObject(reference).path));
    return PROJECTS.find((other) => other.path === path)?.name ?? path;
  });
}

/** A JSON text or a value as an object; empty if it is none. */
function parseObject(source: unknown): Record<string, unknown> {
  const value: unknown = typeof source === 'string' ? JSON.parse(source) : source;
  return typeof value === 'object' && value !== null ? { ...value } : {};
}
