import { isJsonObject, type JsonObject } from './json.js';

/** What the messages of a request hold, for reckoning how many input tokens they can be. */
export interface ChatInputSize {
  /** UTF-8 bytes of all text: contents, names, tool calls and their results. */
  readonly textBytes: number;
  readonly messages: number;
  readonly imageParts: number;
  /** Characters of base64 audio and file data. */
  readonly mediaBytes: number;
}

/** Tokens that an image part is reckoned at, at most. */
export const IMAGE_PART_TOKENS = 2_048;

/** Bytes of audio or file data that are reckoned as one token. */
export const MEDIA_BYTES_PER_TOKEN = 40;

/** Measures the messages and tools of a request. Images count by the part, whatever their data's length. */
export function measureChatInput(request: {
  messages: readonly JsonObject[];
  tools?: unknown;
}): ChatInputSize {
  const size = { textBytes: 0, messages: request.messages.length, imageParts: 0, mediaBytes: 0 };
  for (const message of request.messages) {
    const { content, role, ...others } = message;
    if (typeof content === 'string') size.textBytes += Buffer.byteLength(content);
    else if (Array.isArray(content)) for (const part of content) measurePart(part, size);
    if (Object.keys(others).length > 0) size.textBytes += jsonBytes(others);
  }
  if (request.tools !== undefined && request.tools !== null) size.textBytes += jsonBytes(request.tools);
  return size;
}

function measurePart(
  part: unknown,
  size: { textBytes: number; imageParts: number; mediaBytes: number },
): void {
  if (!isJsonObject(part)) return;
  if (typeof part.text === 'string') size.textBytes += Buffer.byteLength(part.text);
  else if (part.type === 'image_url') size.imageParts += 1;
  else size.mediaBytes += jsonBytes(part);
}

function jsonBytes(value: unknown): number {
  return Buffer.byteLength(JSON.stringify(value));
}
