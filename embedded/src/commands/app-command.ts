import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { inheritedEnvironment } from '@tollgate/runtime';

/** Runs a command of one of the applications, with this terminal as its own. Answers its exit code. */
export function runAppCommand(options: {
  /** Below the root: `apps/admin/dist/operator-reset.js`. */
  entry: string;
  words: readonly string[];
  environment: Readonly<Record<string, string>>;
}): Promise<number> {
  const { entry, words, environment } = options;
  const file = fileURLToPath(new URL(`../../../${entry}`, import.meta.url));
  const child = spawn(process.execPath, ['--enable-source-maps', file, ...words], {
    env: { ...inheritedEnvironment(), ...environment },
    stdio: 'inherit',
  });
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('exit', (code) => resolve(code ?? 1));
  });
}
