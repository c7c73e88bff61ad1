import { execFile } from 'node:child_process';
import { join, relative, sep } from 'node:path';
import { promisify } from 'node:util';
import { isSpec } from './source-file.js';

/** Specs that no Jest config collects, or more than one. `collected` maps each config to the paths it runs. */
export function wronglyCollectedSpecs(
  paths: readonly string[],
  collected: ReadonlyMap<string, readonly string[]>,
): string[] {
  return paths.filter(isSpec).flatMap((path) => {
    const configs = [...collected].filter(([, specs]) => specs.includes(path)).map(([config]) => config);
    if (configs.length === 1) return [];
    return [`${path}: collected by ${configs.length === 0 ? 'no config' : configs.join(' and ')}`];
  });
}

/** What each config would run, as Jest itself finds it: the end-to-end config with every installation that it knows. */
export async function collectSpecs(root: string, configs: readonly string[]): Promise<Map<string, string[]>> {
  const lists = configs.map(async (config): Promise<[string, string[]]> => {
    const modes = config.includes('e2e') ? ['embedded', 'compose'] : [''];
    const found = await Promise.all(modes.map((mode) => listSpecs(root, config, mode)));
    return [config, [...new Set(found.flat())]];
  });
  return new Map(await Promise.all(lists));
}

async function listSpecs(root: string, config: string, mode: string): Promise<string[]> {
  const args = [join(root, 'node_modules/jest/bin/jest.js'), '--config', config, '--listTests', '--json'];
  const env = { ...process.env, E2E_MODE: mode };
  const { stdout } = await promisify(execFile)(process.execPath, args, { cwd: root, env });
  const found: unknown = JSON.parse(stdout);
  if (!Array.isArray(found)) throw new Error(`jest --listTests answered no list for ${config}`);
  return found.map((path) => relative(root, String(path)).split(sep).join('/'));
}
