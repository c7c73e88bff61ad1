import { readFileSync } from 'node:fs';
import { z } from 'zod';

/** This file is two folders below the package's root in the source as in the build. */
const PACKAGE_FILE = new URL('../../package.json', import.meta.url);

const packageSchema = z.object({ version: z.string() });

/** The version of this software. */
export function readPackageVersion(): string {
  return packageSchema.parse(JSON.parse(readFileSync(PACKAGE_FILE, 'utf8'))).version;
}
