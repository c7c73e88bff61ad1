import type { IncomingMessage } from 'node:http';
import { promisify } from 'node:util';
import { brotliDecompress, gunzip, inflate, inflateRaw } from 'node:zlib';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import { GatewayError } from '../relay/gateway-errors.js';
import { BODY_BYTES_MAX, STRANGER_BODY_BYTES_MAX } from './gateway-limits.js';

type Decompress = (body: Buffer, options: { maxOutputLength: number; chunkSize: number }) => Promise<Buffer>;

const gunzipBody: Decompress = promisify(gunzip);
const inflateBody: Decompress = promisify(inflate);
const inflateBareBody: Decompress = promisify(inflateRaw);
const unbrotliBody: Decompress = promisify(brotliDecompress);

/** The compression method in a zlib header; some clients send deflate without that header. */
const ZLIB_METHOD = 8;

const DECOMPRESSORS: ReadonlyMap<string, Decompress> = new Map([
  ['gzip', gunzipBody],
  ['x-gzip', gunzipBody],
  ['br', unbrotliBody],
  [
    'deflate',
    (body, options) =>
      ((body[0] ?? 0) & 0x0f) === ZLIB_METHOD ? inflateBody(body, options) : inflateBareBody(body, options),
  ],
]);

/** Decompressed bytes are made in pieces of this size. */
const PIECE_BYTES = 64 * 1024;

/** How many bytes the body of a request may have: a stranger's is only read for the credential that may be in it. */
export function bodyBytesMax(request: Pick<FastifyRequest, 'caller'>): number {
  return request.caller === null ? STRANGER_BODY_BYTES_MAX : BODY_BYTES_MAX;
}

/** Reads every body into a buffer, whatever its content type: what it means is decided later, in one place. */
export function readBodiesAsBuffers(fastify: FastifyInstance): void {
  fastify.removeAllContentTypeParsers();
  fastify.addContentTypeParser('*', async (request: FastifyRequest, payload: IncomingMessage) => {
    try {
      return await readBody(request, payload);
    } catch (cause) {
      // Whoever did not say who they are, and sends what cannot be read, is told the first of the two.
      if (request.caller === null) throw new GatewayError('no_credential', {}, { cause });
      throw cause;
    }
  });
}

/**
 * Reads a body and undoes its content encoding. No more is decompressed than the limit, whatever the body claims to hold.
 * @throws GatewayError `request_too_large`; `malformed_request` for an encoding that is not known, for data that is not of
 * its encoding, for a body that ends early.
 */
async function readBody(request: FastifyRequest, payload: IncomingMessage): Promise<Buffer> {
  const bytesMax = bodyBytesMax(request);
  const encoding = request.headers['content-encoding']?.trim().toLowerCase() ?? '';
  if (encoding === '' || encoding === 'identity') return collect(payload, bytesMax);
  const decompress = DECOMPRESSORS.get(encoding);
  if (decompress === undefined) {
    const reason = `content encoding '${encoding.slice(0, 50)}' is not supported, only gzip, deflate and br are`;
    throw new GatewayError('malformed_request', { reason });
  }
  const body = await collect(payload, bytesMax);
  try {
    return await decompress(body, { maxOutputLength: bytesMax, chunkSize: PIECE_BYTES });
  } catch (cause) {
    if (codeOf(cause) === 'ERR_BUFFER_TOO_LARGE') throw tooLarge(bytesMax);
    throw new GatewayError('malformed_request', { reason: `its body is not ${encoding} data` }, { cause });
  }
}

function collect(payload: IncomingMessage, bytesMax: number): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const pieces: Buffer[] = [];
    let bytes = 0;
    const settle = (error?: GatewayError): void => {
      payload.off('data', onData).off('end', onEnd).off('error', onLost).off('close', onLost);
      if (error === undefined) resolve(Buffer.concat(pieces, bytes));
      else reject(error);
    };
    const onData = (piece: Buffer): void => {
      bytes += piece.length;
      pieces.push(piece);
      if (bytes > bytesMax) settle(tooLarge(bytesMax));
    };
    const onEnd = (): void => settle();
    const onLost = (cause?: unknown): void =>
      settle(new GatewayError('malformed_request', { reason: 'its body ended early' }, { cause }));
    payload.on('data', onData).on('end', onEnd).on('error', onLost).on('close', onLost);
    // The client may have left while its key was looked up: then nothing is told any more.
    if (payload.destroyed) onLost();
  });
}

function tooLarge(bytesMax: number): GatewayError {
  return new GatewayError('request_too_large', { limit: String(bytesMax) });
}

function codeOf(error: unknown): unknown {
  return typeof error === 'object' && error !== null && 'code' in error ? error.code : undefined;
}
