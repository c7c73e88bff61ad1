import { isJsonObject, type JsonObject } from '@tollgate/openai';

/** Members of a message or delta that clients know; what else vendors put there is dropped. */
const KEPT = [
  'content',
  'refusal',
  'annotations',
  'audio',
  'function_call',
  'reasoning_content',
  'reasoning',
] as const;

/** Copies the members of a message or delta that clients know. Reasoning goes out under both of its names. */
export function knownMembers(message: JsonObject): JsonObject {
  const known: JsonObject = {};
  for (const name of KEPT) {
    if (message[name] !== undefined) known[name] = message[name];
  }
  const reasoning = known.reasoning_content ?? known.reasoning;
  if (typeof reasoning === 'string') {
    known.reasoning_content = reasoning;
    known.reasoning = reasoning;
  }
  return known;
}

/** UTF-8 bytes of what a message or delta says: its text, reasoning, refusal and calls. */
export function outputBytes(message: JsonObject): number {
  let bytes = textBytes(message.content) + textBytes(message.refusal);
  bytes += textBytes(message.reasoning_content ?? message.reasoning);
  if (isJsonObject(message.function_call)) bytes += callBytes(message.function_call);
  if (Array.isArray(message.tool_calls)) {
    for (const call of message.tool_calls as unknown[]) {
      if (isJsonObject(call) && isJsonObject(call.function)) bytes += callBytes(call.function);
    }
  }
  return bytes;
}

function callBytes(call: JsonObject): number {
  return textBytes(call.name) + textBytes(call.arguments);
}

function textBytes(text: unknown): number {
  return typeof text === 'string' ? Buffer.byteLength(text) : 0;
}

/** A tool call's arguments as the string that OpenAI sends, whatever the vendor sent. */
export function argumentsText(value: unknown): string {
  if (typeof value === 'string') return value;
  return value === undefined || value === null ? '' : JSON.stringify(value);
}
