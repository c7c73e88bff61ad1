import { invalidType, invalidValue, isJsonObject, missingParameter, type JsonObject } from '@tollgate/openai';

/** A conversation as it goes on to an upstream. */
export interface Conversation {
  readonly messages: readonly JsonObject[];
  /** Messages of its history that were dropped so that it fits. */
  readonly dropped: number;
}

/**
 * Holds a conversation to the rules of the dialects that have some: an odd number of messages, user and assistant in
 * turn, none of them empty, the last no longer than the limit. The oldest pairs are dropped until the whole fits. A
 * leading system message counts for nothing and is never dropped. Lengths are Unicode code points.
 * @throws RequestProblem
 */
export function holdToRules(messages: unknown, charactersMax: number): Conversation {
  const all = readMessages(messages);
  const [first, ...others] = all;
  const system = first?.role === 'system' ? [first] : [];
  const turns = first?.role === 'system' ? others : all;
  if (turns.length % 2 === 0) {
    throw invalidValue(
      'messages',
      'the number of messages must be odd: user and assistant in turn, user last',
    );
  }
  const lengths = turns.map((turn, position) => turnLength(turn, position, charactersMax));
  if ((lengths.at(-1) ?? 0) > charactersMax) {
    throw invalidValue(
      'messages',
      `the last message must not be longer than ${String(charactersMax)} characters`,
    );
  }
  const dropped = countToDrop(lengths, charactersMax);
  return { messages: [...system, ...turns.slice(dropped)], dropped };
}

function readMessages(messages: unknown): readonly JsonObject[] {
  if (messages === undefined || messages === null) throw missingParameter('messages');
  if (!Array.isArray(messages)) throw invalidType('messages', 'an array of objects', messages);
  return messages.map((message: unknown, position) => {
    if (!isJsonObject(message)) throw invalidType(`messages[${String(position)}]`, 'an object', message);
    return message;
  });
}

function turnLength(turn: JsonObject, position: number, charactersMax: number): number {
  const role = position % 2 === 0 ? 'user' : 'assistant';
  if (turn.role !== role) {
    throw invalidValue(
      'messages',
      `message ${String(position + 1)} must have the role '${role}': user and assistant in turn`,
    );
  }
  const length = contentLength(turn.content, charactersMax);
  if (length === 0) throw invalidValue('messages', `message ${String(position + 1)} must not be empty`);
  return length;
}

/** Code points of a text, or of the texts of its parts; a part that is no text makes it no longer, but not empty. */
function contentLength(content: unknown, charactersMax: number): number {
  if (typeof content === 'string') return codePoints(content, charactersMax);
  if (!Array.isArray(content)) return 0;
  const parts: readonly unknown[] = content;
  const texts = parts.map((part) => (isJsonObject(part) && typeof part.text === 'string' ? part.text : ''));
  return Math.max(Math.min(parts.length, 1), codePoints(texts.join(''), charactersMax));
}

/** Code points, counted as far as the limit and one more: beyond it nobody asks by how much. */
function codePoints(text: string, charactersMax: number): number {
  const unitsMax = 2 * (charactersMax + 1);
  return [...text.slice(0, unitsMax)].length;
}

function countToDrop(lengths: readonly number[], charactersMax: number): number {
  let total = lengths.reduce((sum, length) => sum + length, 0);
  let dropped = 0;
  while (total > charactersMax && dropped < lengths.length - 1) {
    total -= (lengths[dropped] ?? 0) + (lengths[dropped + 1] ?? 0);
    dropped += 2;
  }
  return dropped;
}
