import { mkdirSync, writeFileSync } from 'node:fs';
import { cpus } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** Keeps what was measured in `results/`, with the machine that it was measured on. */
export function writeRecord(name: string, measured: object): void {
  const date = new Date().toISOString().slice(0, 10);
  const folder = fileURLToPath(new URL('../results/', import.meta.url));
  mkdirSync(folder, { recursive: true });
  const machine = { date, node: process.version, cpu: cpus()[0]?.model, cores: cpus().length };
  const record = { ...machine, ...measured };
  writeFileSync(join(folder, `${date}-${name}.json`), `${JSON.stringify(record, null, 2)}\n`);
}
