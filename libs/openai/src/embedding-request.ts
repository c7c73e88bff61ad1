import { readInteger, readModel } from './body-members.js';
import type { JsonObject } from './json.js';
import { RequestProblem, invalidType, invalidValue, missingParameter } from './request-problem.js';
import { readTexts } from './text-inputs.js';

/** How the numbers of an embedding are written: as JSON, or little-endian float32 in base64. */
export type EncodingFormat = 'float' | 'base64';

/** What the gateway needs to know of an embedding request; everything else goes through untouched. */
export interface EmbeddingRequest {
  readonly model: string;
  readonly inputs: readonly (string | readonly number[])[];
  readonly encodingFormat: EncodingFormat;
  readonly body: JsonObject;
}

const INPUTS_MAX = 2_048;

/**
 * Reads an embedding request.
 * @throws RequestProblem naming the parameter.
 */
export function parseEmbeddingRequest(body: JsonObject): EmbeddingRequest {
  const model = readModel(body);
  if (body.input === undefined || body.input === null) throw missingParameter('input');
  const inputs = readTexts(body.input, 'input');
  if (inputs.includes('')) throw invalidValue('input', 'an input cannot be an empty string');
  if (inputs.length > INPUTS_MAX) {
    throw new RequestProblem({
      message: `Invalid 'input': array too long. Expected an array with maximum length ${String(INPUTS_MAX)}, but got an array with length ${String(inputs.length)} instead.`,
      param: 'input',
      code: 'array_above_max_length',
    });
  }
  readInteger(body, { name: 'dimensions', min: 1, max: Number.MAX_SAFE_INTEGER });
  return { model, inputs, encodingFormat: readEncodingFormat(body.encoding_format), body };
}

function readEncodingFormat(value: unknown): EncodingFormat {
  if (value === undefined || value === null) return 'float';
  if (value === 'float' || value === 'base64') return value;
  if (typeof value !== 'string') throw invalidType('encoding_format', 'a string', value);
  throw invalidValue('encoding_format', "supported values are 'float' and 'base64'");
}
