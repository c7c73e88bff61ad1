import { parseEmbeddingRequest } from './embedding-request.js';

describe('parseEmbeddingRequest', () => {
  it('reads texts, token numbers and batches, as floats unless base64 is asked for', () => {
    expect(parseEmbeddingRequest({ model: 'm', input: 'a' })).toMatchObject({
      inputs: ['a'],
      encodingFormat: 'float',
    });
    expect(parseEmbeddingRequest({ model: 'm', input: [1, 2], encoding_format: 'base64' })).toMatchObject({
      inputs: [[1, 2]],
      encodingFormat: 'base64',
    });
    expect(parseEmbeddingRequest({ model: 'm', input: ['a', 'b'] }).inputs).toHaveLength(2);
  });

  it.each([
    [{}, 'input', 'missing_required_parameter'],
    [{ input: '' }, 'input', 'invalid_value'],
    [{ input: ['a', ''] }, 'input', 'invalid_value'],
    [{ input: [] }, 'input', 'empty_array'],
    [{ input: [[1], 'a', 1.5] }, 'input[2]', 'invalid_type'],
    [{ input: Array.from({ length: 2_049 }, () => 'a') }, 'input', 'array_above_max_length'],
    [{ input: 'a', encoding_format: 'hex' }, 'encoding_format', 'invalid_value'],
    [{ input: 'a', dimensions: 0 }, 'dimensions', 'integer_below_min_value'],
  ])('refuses %j and names the parameter', (members, param, code) => {
    const parse = (): unknown => parseEmbeddingRequest({ model: 'm', ...members });
    expect(parse).toThrow(expect.objectContaining({ param, code }));
  });
});
