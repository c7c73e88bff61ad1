import { parseEmbeddingRequest } from '@tollgate/openai';
import fc from 'fast-check';
import { embeddingForm } from './embedding-form.js';
import { NoAnswerError } from './upstream-form.js';

const identity = { key: '1', created: 1, model: 'asked-for' };

function answer(upstream: unknown, encodingFormat?: string): any {
  const request = parseEmbeddingRequest({ model: 'm', input: 'a', encoding_format: encodingFormat });
  return embeddingForm(request).readAnswer(JSON.stringify(upstream), identity);
}

const floats = (base64: string): number[] => {
  const bytes = Buffer.from(base64, 'base64');
  return Array.from({ length: bytes.length / 4 }, (_, n) => bytes.readFloatLE(n * 4));
};

describe('embeddingForm', () => {
  it('gives floats as little-endian float32 in base64 where that is asked for, and takes them back', () => {
    const vector = fc.array(fc.float({ noNaN: true, noDefaultInfinity: true }), { minLength: 1 });
    fc.assert(
      fc.property(vector, (drawn) => {
        // JSON has no negative zero.
        const embedding = drawn.map((component) => component + 0);
        const { body } = answer({ data: [{ index: 0, embedding }] }, 'base64');
        expect(floats(body.data[0].embedding)).toEqual(embedding);
        const back = answer({ data: [{ index: 0, embedding: body.data[0].embedding }] }, 'float');
        expect(back.body.data[0].embedding).toEqual(embedding);
      }),
    );
  });

  it('orders by index and says what OpenAI says', () => {
    const { body, usage } = answer({
      data: [
        { index: 1, embedding: [2] },
        { index: 0, embedding: [1] },
      ],
      usage: { prompt_tokens: 3 },
    });
    expect(body).toEqual({
      object: 'list',
      data: [
        { object: 'embedding', index: 0, embedding: [1] },
        { object: 'embedding', index: 1, embedding: [2] },
      ],
      model: 'asked-for',
    });
    expect(usage).toEqual({ prompt_tokens: 3 });
  });

  it.each([{ data: [] }, {}, { data: [5] }, { data: [{ embedding: ['x'] }] }])(
    'does not take %j for an answer',
    (upstream) => {
      expect(() => answer(upstream)).toThrow(NoAnswerError);
    },
  );
});
