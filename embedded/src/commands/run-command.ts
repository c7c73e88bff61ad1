import { loadConfig } from '@tollgate/runtime';
import { explain, runLauncher } from '../run-launcher.js';
import { auditCommand } from './audit-command.js';
import { backupCommand, restoreCommand } from './backup-commands.js';
import { commandConfigSchema } from './command.config.js';
import { resetCommand } from './reset-command.js';

/**
 * Runs what the words of the command line ask for: `backup FILE`, `restore FILE`, `operator:reset …`, `audit`,
 * the installation itself if there are none, or for developers with `dev`.
 */
export async function runCommand(words: readonly string[]): Promise<void> {
  const [command, ...rest] = words;
  if (command === undefined) return runLauncher();
  if (command === 'dev') return runLauncher({ dataFolder: 'data-dev', followsBuilds: true });
  try {
    process.exitCode = await run(command, rest);
  } catch (error) {
    process.stderr.write(`${explain(error)}\n`);
    process.exitCode = 1;
  }
}

async function run(command: string, words: readonly string[]): Promise<number> {
  const config = loadConfig(commandConfigSchema);
  const print = (line: string): void => void process.stdout.write(`${line}\n`);
  switch (command) {
    case 'backup':
      await backupCommand({ config, words, print, signal: interruption() });
      return 0;
    case 'restore':
      await restoreCommand({ config, words, print });
      return 0;
    case 'operator:reset':
      return resetCommand({ config, words });
    case 'audit':
      return auditCommand({ config, words });
    default:
      process.stderr.write(`There is no command ${command}: backup, restore, operator:reset, audit.\n`);
      return 1;
  }
}

/** Ctrl-C or `kill`: the task ends in order, instead of leaving half of its work. */
function interruption(): AbortSignal {
  const interrupted = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => interrupted.abort());
  return interrupted.signal;
}
