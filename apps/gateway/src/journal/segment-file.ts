import { close, constants, fdatasync, open, writeSync } from 'node:fs';
import { dirname } from 'node:path';
import { promisify } from 'node:util';
import { syncFolder } from './journal-folder.js';

// Not node:fs/promises: its file handles cost more than the writes.
const openFile = promisify(open);
const syncData = promisify(fdatasync);
const closeFile = promisify(close);

const { O_APPEND, O_CREAT, O_EXCL, O_WRONLY } = constants;

/** A file that is only ever appended to. After an error it is never written again. */
export class SegmentFile {
  sizeBytes = 0;
  /** A write or an fsync failed: what of it is on the disk is unknown, and it takes nothing any more. */
  isBroken = false;

  private constructor(
    readonly path: string,
    private readonly descriptor: number,
  ) {}

  static async create(path: string): Promise<SegmentFile> {
    const descriptor = await openFile(path, O_WRONLY | O_CREAT | O_EXCL | O_APPEND, 0o600);
    try {
      // Without this a power cut could take the file's name and with it lines that were fsynced.
      await syncFolder(dirname(path));
      return new SegmentFile(path, descriptor);
    } catch (error) {
      await closeFile(descriptor);
      throw error;
    }
  }

  /**
   * Hands bytes to the system, which keeps them although this process be killed; not yet through a power cut.
   * @throws the error of the system, and ever after.
   */
  write(bytes: Buffer): void {
    if (this.isBroken) throw new Error(`${this.path} is given up`);
    try {
      let written = 0;
      while (written < bytes.length) written += writeSync(this.descriptor, bytes, written);
    } catch (error) {
      this.isBroken = true;
      throw error;
    }
    this.sizeBytes += bytes.length;
  }

  /** Resolves when all that was written before survives a power cut. */
  async sync(): Promise<void> {
    try {
      await syncData(this.descriptor);
    } catch (error) {
      this.isBroken = true;
      throw error;
    }
  }

  close(): Promise<void> {
    return closeFile(this.descriptor);
  }
}
