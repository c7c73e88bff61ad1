import { isJsonObject, type JsonObject } from './json.js';
import { RequestProblem, invalidType, invalidValue } from './request-problem.js';

/** Characters of a model's name at most. */
const MODEL_LENGTH_MAX = 256;

/** The model that a body names. */
export function readModel(body: JsonObject): string {
  const { model } = body;
  if (model === undefined || model === null || model === '') {
    throw new RequestProblem({
      message: 'you must provide a model parameter',
      param: 'model',
      code: 'missing_required_parameter',
    });
  }
  if (typeof model !== 'string') throw invalidType('model', 'a string', model);
  if (model.length > MODEL_LENGTH_MAX) throw invalidValue('model', 'is too long to be the name of a model');
  return model;
}

/** Whether the client asked for the usage chunk. Options of a request that is not streamed mean nothing: they are dropped. */
export function readIncludeUsage(body: JsonObject, stream: boolean): boolean {
  const options = body.stream_options;
  if (!stream || options === undefined || options === null) return false;
  if (!isJsonObject(options)) throw invalidType('stream_options', 'an object', options);
  const wanted = options.include_usage;
  if (wanted === undefined || wanted === null || typeof wanted === 'boolean') return wanted === true;
  throw invalidType('stream_options.include_usage', 'a boolean', wanted);
}

/** A boolean, or null where it is absent. */
export function readBoolean(body: JsonObject, name: string): boolean | null {
  const value = body[name];
  if (value === undefined || value === null) return null;
  if (typeof value !== 'boolean') throw invalidType(name, 'a boolean', value);
  return value;
}

/** Refuses what is there and no array. */
export function readArray(body: JsonObject, name: string): void {
  const value = body[name];
  if (value === undefined || value === null || Array.isArray(value)) return;
  throw invalidType(name, 'an array', value);
}

/** What a number may be. */
export interface NumberRule {
  readonly name: string;
  readonly min: number;
  readonly max: number;
}

/** A number within its bounds, or null where it is absent. */
export function readNumber(body: JsonObject, rule: NumberRule): number | null {
  const value = body[rule.name];
  if (value === undefined || value === null) return null;
  if (typeof value !== 'number') throw invalidType(rule.name, 'a decimal', value);
  return withinBounds(value, rule, 'decimal');
}

/** A whole number within its bounds, or null where it is absent. */
export function readInteger(body: JsonObject, rule: NumberRule): number | null {
  const value = body[rule.name];
  if (value === undefined || value === null) return null;
  if (typeof value !== 'number' || !Number.isInteger(value)) {
    throw invalidType(rule.name, 'an integer', value);
  }
  return withinBounds(value, rule, 'integer');
}

/** OpenAI goes by what the parameter takes: 3 is a decimal above the maximum where decimals are taken. */
function withinBounds(value: number, rule: NumberRule, kind: 'decimal' | 'integer'): number {
  const isBelow = value < rule.min;
  if (!isBelow && value <= rule.max) return value;
  const [words, code, expected] = isBelow
    ? ['below minimum', 'below_min', `>= ${String(rule.min)}`]
    : ['above maximum', 'above_max', `<= ${String(rule.max)}`];
  throw new RequestProblem({
    message:
      `Invalid '${rule.name}': ${kind} ${words} value. ` +
      `Expected a value ${expected}, but got ${String(value)} instead.`,
    param: rule.name,
    code: `${kind}_${code}_value`,
  });
}

/** The smallest of the numbers given, or null where none is. */
export function smallest(values: readonly (number | null)[]): number | null {
  const given = values.filter((value) => value !== null);
  return given.length === 0 ? null : Math.min(...given);
}
