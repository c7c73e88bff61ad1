import { isJsonObject, type JsonObject } from './json.js';
import { rewriteJson } from './request-problem.js';

/** What a request holds, for reckoning how many input tokens it can be. */
export interface InputSize {
  /** UTF-8 bytes of all text: contents, names, tool calls and their results. */
  readonly textBytes: number;
  /** Tokens that the client counted itself, by sending them as numbers. */
  readonly tokens: number;
  readonly messages: number;
  readonly imageParts: number;
  /** Characters of base64 audio and file data. */
  readonly mediaBytes: number;
}

/** Tokens that an image part is reckoned at, at most. */
export const IMAGE_PART_TOKENS = 2_048;

/** Bytes of audio or file data that are reckoned as one token. */
export const MEDIA_BYTES_PER_TOKEN = 40;

/** Members of a chat request, beside its messages, that a provider puts before the model as text. */
const PROMPTED_MEMBERS = ['tools', 'functions', 'response_format', 'prediction'] as const;

/** Parts of a content whose data is no text, so that its bytes are not tokens. */
const MEDIA_PARTS: ReadonlySet<unknown> = new Set(['input_audio', 'file']);

/**
 * Measures the messages of a request and what else reaches the model. Images count by the part, whatever their data's
 * length; what is not known counts as text, because a hold must not be too small.
 */
export function measureChatInput(request: {
  readonly messages: readonly JsonObject[];
  readonly body: JsonObject;
}): InputSize {
  const { messages, body } = request;
  const size = { textBytes: 0, tokens: 0, messages: messages.length, imageParts: 0, mediaBytes: 0 };
  for (const message of messages) {
    const { content, role, ...others } = message;
    if (Array.isArray(content)) for (const part of content) measurePart(part, size);
    else size.textBytes += textBytes(content);
    if (Object.keys(others).length > 0) size.textBytes += textBytes(others);
  }
  for (const member of PROMPTED_MEMBERS) size.textBytes += textBytes(body[member]);
  return size;
}

/** Measures plain texts and arrays of token numbers, as completions and embeddings take them. */
export function measureTexts(texts: readonly (string | readonly number[])[]): InputSize {
  const size = { textBytes: 0, tokens: 0, messages: 0, imageParts: 0, mediaBytes: 0 };
  for (const text of texts) {
    if (typeof text === 'string') size.textBytes += Buffer.byteLength(text);
    else size.tokens += text.length;
  }
  return size;
}

function measurePart(
  part: unknown,
  size: { textBytes: number; imageParts: number; mediaBytes: number },
): void {
  if (!isJsonObject(part)) size.textBytes += textBytes(part);
  else if (part.type === 'image_url') size.imageParts += 1;
  else if (MEDIA_PARTS.has(part.type)) size.mediaBytes += textBytes(part);
  else size.textBytes += textBytes(part.text ?? part);
}

/** UTF-8 bytes of a text, or of anything else as JSON; none of what is absent. */
function textBytes(value: unknown): number {
  if (value === undefined || value === null) return 0;
  return Buffer.byteLength(typeof value === 'string' ? value : rewriteJson(value));
}
