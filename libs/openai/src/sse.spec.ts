import fc from 'fast-check';
import { SseDecoder, SseEventTooLargeError, encodeSseEvent } from './sse.js';

function decode(bytes: Buffer, cuts: readonly number[], max?: number): string[] {
  const decoder = new SseDecoder(max);
  const events: string[] = [];
  let from = 0;
  for (const cut of [...cuts].sort((a, b) => a - b)) {
    events.push(...decoder.push(bytes.subarray(from, cut)));
    from = cut;
  }
  events.push(...decoder.push(bytes.subarray(from)), ...decoder.end());
  return events;
}

describe('SseDecoder', () => {
  it('reads events however vendors write them', () => {
    const stream = [
      ': a comment\n\n',
      'data: {"a":1}\n\n',
      'data:{"b":2}\r\n\r\n',
      'event: message\nid: 7\nretry: 10\ndata: {"c":3}\n\n',
      'data: first\ndata: second\n\n',
      '\n\n',
      'data: [DONE]',
    ].join('');
    expect(decode(Buffer.from(stream), [])).toEqual([
      '{"a":1}',
      '{"b":2}',
      '{"c":3}',
      'first\nsecond',
      '[DONE]',
    ]);
  });

  it('reads the same events however the bytes are cut, also within a character', () => {
    const text = fc.string({ unit: 'binary', minLength: 1 }).map((s) => s.replace(/[\r\n]/g, ' '));
    fc.assert(
      fc.property(
        fc.array(text, { maxLength: 8 }),
        fc.array(fc.nat(2_000)),
        fc.boolean(),
        (events, raw, crlf) => {
          const stream = events.map(encodeSseEvent).join('');
          const bytes = Buffer.from(crlf ? stream.replaceAll('\n', '\r\n') : stream);
          const cuts = raw.map((cut) => Math.min(cut, bytes.length));
          const expected = events.map((event) => Buffer.from(event).toString('utf8'));
          expect(decode(bytes, cuts)).toEqual(expected);
        },
      ),
    );
  });

  it('refuses an event beyond its bound, whether it comes at once, in pieces or in many lines', () => {
    const long = Buffer.from(`data: ${'x'.repeat(300)}\n\n`);
    expect(() => decode(long, [], 200)).toThrow(SseEventTooLargeError);
    expect(() => decode(long, [100, 250], 200)).toThrow(SseEventTooLargeError);
    expect(() => decode(Buffer.from('data: xxxxxxxxxx\n'.repeat(30)), [], 200)).toThrow(
      SseEventTooLargeError,
    );
  });

  it('takes a long event in small pieces in linear time', () => {
    const decoder = new SseDecoder();
    const piece = Buffer.alloc(1_024, 'x');
    decoder.push(Buffer.from('data: '));
    for (let n = 0; n < 4_096; n += 1) decoder.push(piece);
    expect(decoder.push(Buffer.from('\n\n'))[0]).toHaveLength(4_096 * 1_024);
  });
});
