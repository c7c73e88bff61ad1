import { randomBytes } from 'node:crypto';
import { isJsonObject, type JsonObject } from '@tollgate/openai';
import { argumentsText } from './chat-message.js';

/**
 * The tool calls of one choice as they stream in. Clients rely on OpenAI's habits: each delta has a numeric index; a
 * call's first delta has its id, type and name; later ones have arguments only.
 */
export class ToolCallDeltas {
  /** Ids of the calls begun, by the index that clients know them by. */
  private readonly ids: string[] = [];

  read(value: unknown): JsonObject[] {
    if (!Array.isArray(value)) return [];
    return value.flatMap((call: unknown, position) =>
      isJsonObject(call) ? [this.readCall(call, position)] : [],
    );
  }

  private readCall(call: JsonObject, position: number): JsonObject {
    const source = isJsonObject(call.function) ? call.function : {};
    const args = argumentsText(source.arguments);
    const index = this.indexOf(call, position);
    if (index < this.ids.length) return { index, function: { arguments: args } };
    const id =
      typeof call.id === 'string' && call.id !== '' ? call.id : `call_${randomBytes(12).toString('hex')}`;
    this.ids.push(id);
    return {
      index: this.ids.length - 1,
      id,
      type: 'function',
      function: { name: source.name ?? '', arguments: args },
    };
  }

  /** Some vendors give every call the index 0: an id that is new to its index begins a new call. */
  private indexOf(call: JsonObject, position: number): number {
    const index = typeof call.index === 'number' ? call.index : position;
    const known = this.ids[index];
    const isOther = typeof call.id === 'string' && call.id !== '' && known !== undefined && known !== call.id;
    if (!isOther) return index;
    const begun = this.ids.indexOf(String(call.id));
    return begun === -1 ? this.ids.length : begun;
  }
}
