import { createHash } from 'node:crypto';
import { open } from 'node:fs/promises';
import { Header } from 'tar';
import { codeOf } from '../thrown.js';

/** One file of an archive, as its manifest has it. */
export interface ArchivedFile {
  readonly path: string;
  readonly sizeBytes: number;
  readonly sha256: string;
}

const BLOCK_BYTES = 512;
const READ_BYTES = 256 * 1024;

/**
 * Writes a tar as a stream of buffers and keeps a checksum of each file. Made by hand from tar's headers, because
 * the files of a running Postgres grow, shrink and vanish while they are read.
 */
export class Archive {
  readonly files: ArchivedFile[] = [];

  *folder(path: string): Generator<Buffer> {
    yield header({ path: `${path}/`, type: 'Directory', mode: 0o700, size: 0 });
  }

  *bytes(path: string, content: Buffer): Generator<Buffer> {
    yield header({ path, type: 'File', mode: 0o600, size: content.length });
    yield content;
    yield padding(content.length);
    const sha256 = createHash('sha256').update(content).digest('hex');
    this.files.push({ path, sizeBytes: content.length, sha256 });
  }

  /**
   * A file as it is at this moment. One that is gone is left out unless it is required; one that shrinks meanwhile is
   * filled up with zeros: recovery repeats what made it shrink.
   */
  async *file(path: string, source: string, presence: 'required' | 'may vanish'): AsyncGenerator<Buffer> {
    const file = await open(source, 'r').catch((error: unknown) => {
      if (presence === 'may vanish' && codeOf(error) === 'ENOENT') return null;
      throw error;
    });
    if (file === null) return;
    try {
      const { size } = await file.stat();
      yield header({ path, type: 'File', mode: 0o600, size });
      const hash = createHash('sha256');
      for (let position = 0; position < size;) {
        const buffer = Buffer.alloc(Math.min(READ_BYTES, size - position));
        const { bytesRead } = await file.read(buffer, 0, buffer.length, position);
        const chunk = bytesRead === 0 ? buffer : buffer.subarray(0, bytesRead);
        hash.update(chunk);
        position += chunk.length;
        yield chunk;
      }
      yield padding(size);
      this.files.push({ path, sizeBytes: size, sha256: hash.digest('hex') });
    } finally {
      await file.close();
    }
  }

  /** Two empty blocks end a tar. */
  *end(): Generator<Buffer> {
    yield Buffer.alloc(2 * BLOCK_BYTES);
  }
}

function header(data: { path: string; type: 'File' | 'Directory'; mode: number; size: number }): Buffer {
  const block = Buffer.alloc(BLOCK_BYTES);
  const needsExtension = new Header({ ...data, mtime: new Date() }).encode(block);
  if (needsExtension) throw new Error(`this path is too long for the archive: ${data.path}`);
  return block;
}

function padding(sizeBytes: number): Buffer {
  return Buffer.alloc((BLOCK_BYTES - (sizeBytes % BLOCK_BYTES)) % BLOCK_BYTES);
}
