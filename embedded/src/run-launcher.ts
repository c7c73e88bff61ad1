import { ConfigError, EXIT_CONFIG, MasterKeyError } from '@tollgate/runtime';
import { Launch, type LaunchOptions } from './launch.js';
import { LaunchError } from './launch-error.js';
import { PostgresError } from './postgres/postgres-error.js';
import { StopSignals } from './processes/stop-signals.js';

/** Runs an installation until it is told to stop; this is what `npm start` does once everything is built. */
export async function runLauncher(options: LaunchOptions = {}): Promise<void> {
  // The terminal may be gone before the last word.
  process.stdout.on('error', () => undefined);
  const launch = new Launch((text) => process.stdout.write(text), options);
  let stopping = false;
  const started = launch.start();
  const stop = async (): Promise<void> => {
    stopping = true;
    process.stdout.write('\nStopping. Open answers may finish; press Ctrl-C again to end at once.\n');
    launch.interrupt();
    await started.catch(() => undefined);
    await launch.stop();
    process.stdout.write('Stopped.\n');
    process.exit(0);
  };
  new StopSignals({
    stop: () => void stop(),
    force: () => launch.kill(),
    leave: () => process.exit(1),
  }).listen();
  try {
    await started;
  } catch (error) {
    if (stopping) return;
    await launch.stop();
    process.stderr.write(`\n${explain(error)}\n`);
    // Whoever starts it again when it fails need not do so with the same environment.
    process.exit(error instanceof ConfigError ? EXIT_CONFIG : 1);
  }
}

/** What the operator can act on comes as its message alone; anything else is a defect and comes with its stack. */
export function explain(error: unknown): string {
  const known = [LaunchError, PostgresError, ConfigError, MasterKeyError];
  if (known.some((kind) => error instanceof kind) && error instanceof Error) return error.message;
  return error instanceof Error ? `This is unexpected: ${error.stack ?? error.message}` : String(error);
}
