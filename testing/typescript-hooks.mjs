// Module hooks of typescript-loader.mjs: "./x.js" finds "./x.ts", "@tollgate/x" finds its source, swc removes the types.
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';

const rootUrl = new URL('../', import.meta.url);
const topLevelProjects = new Set(['embedded', 'testing']);

const options = {
  swcrc: false,
  sourceMaps: 'inline',
  jsc: {
    target: 'es2022',
    parser: { syntax: 'typescript', decorators: true },
    transform: { legacyDecorator: true, decoratorMetadata: true },
    keepClassNames: true,
  },
  module: { type: 'es6' },
};
// Tests start dozens of processes from the same sources: swc runs once for each source, and is not even loaded after that.
const cache = fileURLToPath(new URL('node_modules/.cache/typescript-hooks/', rootUrl));
const { version } = createRequire(import.meta.url)('@swc/core/package.json');
const recipe = JSON.stringify([version, options]);

export function resolve(specifier, context, nextResolve) {
  const project = /^@tollgate\/([^/]+)$/.exec(specifier)?.[1];
  if (project !== undefined) {
    const folder = topLevelProjects.has(project) ? project : `libs/${project}`;
    return nextResolve(new URL(`${folder}/src/index.ts`, rootUrl).href, context);
  }
  if (/^\.{1,2}\/.*\.js$/.test(specifier) && context.parentURL?.endsWith('.ts')) {
    const source = new URL(specifier.replace(/\.js$/, '.ts'), context.parentURL);
    if (existsSync(source)) return nextResolve(source.href, context);
  }
  return nextResolve(specifier, context);
}

export async function load(url, context, nextLoad) {
  if (!url.endsWith('.ts') || url.includes('/node_modules/')) return nextLoad(url, context);
  const filename = fileURLToPath(url);
  return { format: 'module', source: await compiled(filename), shortCircuit: true };
}

async function compiled(filename) {
  const source = await readFile(filename, 'utf8');
  const key = createHash('sha256').update(recipe).update(filename).update(source).digest('hex');
  const path = `${cache}${key}.js`;
  try {
    return await readFile(path, 'utf8');
  } catch {
    const { transform } = await import('@swc/core');
    const { code } = await transform(source, { ...options, filename });
    await keep(path, code);
    return code;
  }
}

/** Whole or not at all, as others read at the same time. A tree that cannot be written does without. */
async function keep(path, code) {
  const whole = `${path}.${process.pid}`;
  try {
    await mkdir(cache, { recursive: true });
    await writeFile(whole, code);
    await rename(whole, path);
  } catch {
    // It is compiled again then.
  }
}
