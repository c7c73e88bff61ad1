import { closeSync, copyFileSync, fstatSync, openSync, readSync, statSync, truncateSync } from 'node:fs';

const LOG_BYTES_MAX = 10 * 1024 * 1024;
const TAIL_BYTES_MAX = 8 * 1024;

/** A log file open for appending, that can tell what was written since it was opened. */
export class LogFile {
  private constructor(
    /** The descriptor to give to the process that writes. */
    readonly descriptor: number,
    private readonly path: string,
    private readonly startBytes: number,
  ) {}

  static open(path: string): LogFile {
    boundLog(path);
    const descriptor = openSync(path, 'a', 0o600);
    return new LogFile(descriptor, path, fstatSync(descriptor).size);
  }

  /** What was written since, at most its last 8 KiB. */
  read(): string {
    return readTail(this.path, this.startBytes);
  }

  close(): void {
    closeSync(this.descriptor);
  }
}

/** The end of a log, at most 8 KiB of it, none of it from before `fromBytes`. */
export function readTail(path: string, fromBytes = 0): string {
  const reader = openSync(path, 'r');
  try {
    const end = fstatSync(reader).size;
    const start = Math.max(Math.min(fromBytes, end), end - TAIL_BYTES_MAX);
    const bytes = Buffer.alloc(end - start);
    const length = readSync(reader, bytes, 0, bytes.length, start);
    return bytes.toString('utf8', 0, length).trim();
  } finally {
    closeSync(reader);
  }
}

/**
 * Sets a log aside as `<name>.1` once it has grown past 10 MiB. Whoever writes may go on: writers append, so they
 * continue at the start of the emptied file.
 */
export function boundLog(path: string): void {
  if ((statSync(path, { throwIfNoEntry: false })?.size ?? 0) <= LOG_BYTES_MAX) return;
  copyFileSync(path, `${path}.1`);
  truncateSync(path);
}
