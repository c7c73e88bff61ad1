// Module hooks of typescript-loader.mjs: "./x.js" finds "./x.ts", "@tollgate/x" finds its source, swc removes the types.
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { transform } from '@swc/core';

const rootUrl = new URL('../', import.meta.url);
const topLevelProjects = new Set(['embedded', 'testing']);

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
  const { code } = await transform(await readFile(filename, 'utf8'), {
    filename,
    swcrc: false,
    sourceMaps: 'inline',
    jsc: {
      target: 'es2022',
      parser: { syntax: 'typescript', decorators: true },
      transform: { legacyDecorator: true, decoratorMetadata: true },
      keepClassNames: true,
    },
    module: { type: 'es6' },
  });
  return { format: 'module', source: code, shortCircuit: true };
}
