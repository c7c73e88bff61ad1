import { behaviourSchema, type BehaviourInput } from './behaviour.js';
import { embeddingVector, embeddingsBody, parseEmbeddingRequest } from './embedding-vectors.js';

function answer(body: unknown, behaviour: BehaviourInput = {}): any {
  return embeddingsBody(parseEmbeddingRequest(body), behaviourSchema.parse(behaviour));
}

describe('the embeddings of the fake upstream', () => {
  it('are the same for the same text and others for another', () => {
    expect(embeddingVector('a')).toEqual(embeddingVector('a'));
    expect(embeddingVector('a')).not.toEqual(embeddingVector('b'));
    expect(embeddingVector('a', 100)).toHaveLength(100);
    expect(embeddingVector('a', 100).slice(0, 16)).toEqual(embeddingVector('a'));
  });

  it('hold numbers that 32 bits hold exactly', () => {
    for (const number of embeddingVector('exact', 3_000)) {
      expect(Math.fround(number)).toBe(number);
      expect(Math.abs(number)).toBeLessThan(1);
    }
  });

  it('come in the order of the inputs, token lists too', () => {
    const texts = (input: unknown) => answer({ input }).data.map(({ embedding }: any) => embedding);
    expect(texts('one')).toEqual([embeddingVector('one')]);
    expect(texts(['one', 'two'])).toEqual([embeddingVector('one'), embeddingVector('two')]);
    expect(texts([1, 2])).toEqual([embeddingVector('[1,2]')]);
    expect(texts([[1, 2], [3]])).toEqual([embeddingVector('[1,2]'), embeddingVector('[3]')]);
  });

  it('are numbers whatever was asked, unless the behaviour says otherwise', () => {
    const asked = { input: 'one', encoding_format: 'base64', dimensions: 3 };
    const vector = embeddingVector('one', 3);
    const bytes = Buffer.from(Float32Array.from(vector).buffer).toString('base64');
    expect(answer(asked).data[0].embedding).toEqual(vector);
    expect(answer(asked, { embeddingEncoding: 'as_asked' }).data[0].embedding).toBe(bytes);
    expect(answer({ ...asked, encoding_format: 'float' }, { embeddingEncoding: 'base64' }).data[0]).toEqual({
      object: 'embedding',
      index: 0,
      embedding: bytes,
    });
  });

  it('report a quarter of the bytes as tokens, or what they are told', () => {
    expect(answer({ input: ['12345', '678'] }).usage).toEqual({ prompt_tokens: 2, total_tokens: 2 });
    expect(answer({ input: 'x' }, { promptTokens: 9 }).usage).toEqual({ prompt_tokens: 9, total_tokens: 9 });
    expect(answer({ input: 'x' }, { usage: 'none' })).not.toHaveProperty('usage');
  });
});
