import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { MasterKey, writeDurably } from '@tollgate/runtime';
import { z } from 'zod';
import { LaunchError } from '../launch-error.js';
import { randomBase62 } from './base62.js';
import { codeOf } from '../thrown.js';

const PASSWORD_LENGTH = 32;

const secretsSchema = z.object({
  /** 32 bytes in base64. */
  masterKey: z.string(),
  ownerPassword: z.string().min(1),
  appPassword: z.string().min(1),
});

/** The secrets of an installation. They are made once and never leave its data folder. */
export type Secrets = Readonly<z.output<typeof secretsSchema>>;

/**
 * Reads the secrets of a data folder, or makes them on its first use.
 * @throws LaunchError if they are damaged, or missing beside a database that was made with them.
 */
export function loadSecrets(dataDir: string): Secrets {
  const path = join(dataDir, 'secrets.json');
  if (existsSync(path)) return readSecrets(path);
  if (existsSync(join(dataDir, 'postgres', 'PG_VERSION'))) {
    throw new LaunchError(
      `${path} is missing, but there is a database that was made with its passwords and master key.\n` +
        'Restore the file from a backup, or start anew with another DATA_DIR.',
    );
  }
  const secrets: Secrets = {
    masterKey: MasterKey.generate(),
    ownerPassword: randomBase62(PASSWORD_LENGTH),
    appPassword: randomBase62(PASSWORD_LENGTH),
  };
  writeDurably(path, `${JSON.stringify(secrets, null, 2)}\n`);
  return secrets;
}

function readSecrets(path: string): Secrets {
  try {
    return secretsSchema.parse(JSON.parse(readFileSync(path, 'utf8')));
  } catch (cause) {
    // The cause of a parse error may quote the file.
    const code = codeOf(cause);
    const reason = code === undefined ? '' : ` (${code})`;
    throw new LaunchError(
      `${path} cannot be read${reason}. Restore it from a backup, or start anew with another DATA_DIR.`,
    );
  }
}
