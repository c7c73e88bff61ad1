import { measureChatInput, measureTexts } from './input-size.js';

const measure = (content: unknown, body: object = {}): unknown =>
  measureChatInput({ messages: [{ role: 'user', content }], body: { ...body } });

describe('measureChatInput', () => {
  it('counts UTF-8 bytes of text, wherever it stands', () => {
    expect(measure('héé')).toMatchObject({ textBytes: 5, messages: 1 });
    expect(measure([{ type: 'text', text: 'ab' }, 'cd'])).toMatchObject({ textBytes: 4 });
    expect(measure(null)).toMatchObject({ textBytes: 0 });
  });

  it('counts what it does not know as text, so that no hold is too small', () => {
    expect(measure([{ type: 'tool_result', content: 'x'.repeat(400) }])).toMatchObject({
      textBytes: expect.any(Number),
      mediaBytes: 0,
    });
    expect((measure([{ type: 'tool_result', content: 'x'.repeat(400) }]) as any).textBytes).toBeGreaterThan(
      400,
    );
    expect((measure({ odd: 'x'.repeat(90) }) as any).textBytes).toBeGreaterThan(90);
  });

  it.each(['tools', 'functions', 'response_format', 'prediction'])(
    'counts %s, which reach the model too',
    (member) => {
      expect((measure('a', { [member]: [{ name: 'x'.repeat(100) }] }) as any).textBytes).toBeGreaterThan(100);
    },
  );

  it('counts images by the part and other media by their data', () => {
    const image = { type: 'image_url', image_url: { url: `data:${'x'.repeat(5_000)}` } };
    const audio = { type: 'input_audio', input_audio: { data: 'x'.repeat(5_000) } };
    expect(measure([image, image])).toMatchObject({ imageParts: 2, textBytes: 0, mediaBytes: 0 });
    expect((measure([audio]) as any).mediaBytes).toBeGreaterThan(5_000);
  });
});

describe('measureTexts', () => {
  it('counts bytes of texts, and tokens that come as numbers', () => {
    expect(measureTexts(['ab', 'é', [1, 2, 3]])).toMatchObject({ textBytes: 4, tokens: 3 });
  });
});
