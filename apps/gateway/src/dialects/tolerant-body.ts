import { isJsonObject, type JsonObject } from '@tollgate/openai';
import { readForm } from './form-body.js';

const TRUE = /^(?:true|1|on|yes)$/i;
const FALSE = /^(?:false|0|off|no|)$/i;
const NUMBER = /^\s*-?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?\s*$/i;

const BOOLEANS: ReadonlySet<string> = new Set(['stream', 'echo', 'parallel_tool_calls', 'store', 'logprobs']);
const NUMBERS: ReadonlySet<string> = new Set([
  ...['temperature', 'top_p', 'n', 'max_tokens', 'max_completion_tokens', 'presence_penalty', 'best_of'],
  ...['frequency_penalty', 'logprobs', 'top_logprobs', 'seed', 'dimensions'],
]);
/** Members that forms carry as JSON in one field, where their sender did not nest them. */
const STRUCTURES: ReadonlySet<string> = new Set([
  ...['messages', 'tools', 'functions', 'logit_bias', 'response_format', 'stream_options', 'tool_choice'],
]);

/**
 * Reads a body as its sender meant it, whatever its content type says: JSON, also with trailing commas or a byte order
 * mark, or a form with nested names. Numbers and booleans may be text. Null for what is neither.
 */
export function readTolerantBody(body: Buffer): JsonObject | null {
  const text = body
    .toString('utf8')
    .replace(/^\uFEFF/, '')
    .trim();
  const sent = text.startsWith('{') ? readJson(text) : readForm(text);
  return sent === null ? null : mendMembers(sent);
}

function readJson(text: string): JsonObject | null {
  const value = parseJson(text) ?? parseJson(withoutTrailingCommas(text));
  return isJsonObject(value) ? value : null;
}

/** The value, or undefined for text that is not JSON. */
function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const COMMA = 0x2c;

/** Drops each comma that only blanks part from a closing bracket, outside of strings. One pass, whatever the text. */
export function withoutTrailingCommas(text: string): string {
  let tidy = '';
  let kept = 0;
  let comma = -1;
  let isInString = false;
  for (let at = 0; at < text.length; at += 1) {
    const code = text.charCodeAt(at);
    if (isInString) {
      if (code === BACKSLASH) at += 1;
      else if (code === QUOTE) isInString = false;
    } else if (code === COMMA) {
      comma = at;
    } else if (!isBlank(code)) {
      if (comma !== -1 && isClosing(code)) {
        tidy += text.slice(kept, comma);
        kept = comma + 1;
      }
      comma = -1;
      isInString = code === QUOTE;
    }
  }
  return tidy + text.slice(kept);
}

function isBlank(code: number): boolean {
  return code === 0x20 || (code >= 0x09 && code <= 0x0d);
}

function isClosing(code: number): boolean {
  return code === 0x7d || code === 0x5d;
}

function mendMembers(body: JsonObject): JsonObject {
  return Object.fromEntries(Object.entries(body).map(([name, value]) => [name, mendMember(name, value)]));
}

/** What the text of a member stands for, if it is one that is never text; whatever fits nothing is left to the checks. */
function mendMember(name: string, value: unknown): unknown {
  if (typeof value !== 'string') return value;
  if (STRUCTURES.has(name) && /^\s*[[{]/.test(value)) return parseJson(value) ?? value;
  if (NUMBERS.has(name) && NUMBER.test(value)) return Number(value);
  if (!BOOLEANS.has(name)) return value;
  if (TRUE.test(value)) return true;
  return FALSE.test(value) ? false : value;
}
