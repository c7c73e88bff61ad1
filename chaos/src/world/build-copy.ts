import {
  cpSync,
  existsSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('../../../', import.meta.url));
const APPS = ['gateway', 'billing', 'admin'];

/** Replaces text in one file of a build. */
export interface BuildPatch {
  /** From the root of the repository, such as `apps/gateway/dist/main.js`. */
  readonly file: string;
  readonly from: string;
  readonly to: string;
}

/**
 * Copies the build, so that a run stays with what it began with, and can be given a build that is broken on purpose.
 * @throws Error where a patch does not find its text exactly once.
 */
export function copyBuild(folder: string, patches: readonly BuildPatch[]): void {
  const libraries = readdirSync(join(root, 'libs'));
  const projects = [...APPS.map((name) => `apps/${name}`), ...libraries.map((name) => `libs/${name}`)];
  for (const project of projects) {
    if (!existsSync(join(root, project, 'dist'))) throw new Error(`${project} is not built: npm run build`);
    cpSync(join(root, project, 'dist'), join(folder, project, 'dist'), { recursive: true });
    cpSync(join(root, project, 'package.json'), join(folder, project, 'package.json'));
  }
  linkPackages(folder, libraries);
  for (const patch of patches) applyPatch(folder, patch);
}

/** The entry of an app in a copied build. */
export function entryOf(folder: string, app: string): string {
  return join(folder, 'apps', app, 'dist', 'main.js');
}

function linkPackages(folder: string, libraries: readonly string[]): void {
  const packages = join(folder, 'node_modules');
  mkdirSync(join(packages, '@tollgate'), { recursive: true });
  for (const name of readdirSync(join(root, 'node_modules'))) {
    if (name === '@tollgate' || name.startsWith('.')) continue;
    symlinkSync(join(root, 'node_modules', name), join(packages, name));
  }
  for (const name of libraries) symlinkSync(join(folder, 'libs', name), join(packages, '@tollgate', name));
}

function applyPatch(folder: string, { file, from, to }: BuildPatch): void {
  const path = join(folder, file);
  const text = readFileSync(path, 'utf8');
  const found = text.split(from).length - 1;
  if (found !== 1) throw new Error(`${file} holds ${found} times, not once: ${from}`);
  writeFileSync(
    path,
    text.replace(from, () => to),
  );
}
