import fc from 'fast-check';
import { encodeLine, readLines, type JournalFact } from './journal-line.js';

const text = fc.oneof(
  fc.string({ unit: 'binary' }),
  fc.constantFrom('\n', '\u001e', '\u001e00000000 2 1 {}\n', 'ü'),
);
const event = fc.record({ requestId: fc.uuid(), accountId: fc.uuid(), model: text, costNano: fc.string() });
const fact: fc.Arbitrary<JournalFact> = fc.oneof(
  fc.record({ kind: fc.constant('begun' as const), requestId: fc.uuid(), accountId: fc.uuid(), at: text }),
  fc.record({ kind: fc.constant('checkpoint' as const), contract: fc.nat(9), event }),
  fc.record({ kind: fc.constant('event' as const), contract: fc.nat(9), event }),
);
const facts = fc.array(fact, { minLength: 1, maxLength: 8 });

function factsIn(bytes: Buffer): JournalFact[] {
  return [...readLines(bytes)].flatMap((line) => ('fact' in line ? [line.fact] : []));
}

function damageIn(bytes: Buffer): number {
  return [...readLines(bytes)].filter((line) => 'damagedBytes' in line).length;
}

/** Where each line begins and ends in the file, without its line feed: that one carries nothing. */
function spans(lines: readonly string[]): { start: number; end: number }[] {
  let start = 0;
  return lines.map((line) => {
    const bytes = Buffer.byteLength(line);
    start += bytes;
    return { start: start - bytes, end: start - 1 };
  });
}

describe('a line of the journal', () => {
  it('is read as it was written, whatever is in it', () => {
    fc.assert(
      fc.property(facts, (written) => {
        const bytes = Buffer.from(written.map(encodeLine).join(''));
        expect(factsIn(bytes)).toEqual(JSON.parse(JSON.stringify(written)));
        expect(damageIn(bytes)).toBe(0);
      }),
    );
  });

  it('comes out with the bytes that went in', () => {
    fc.assert(
      fc.property(fact, (written) => {
        expect(factsIn(Buffer.from(encodeLine(written))).map((one) => JSON.stringify(one))).toEqual([
          JSON.stringify(written),
        ]);
      }),
    );
  });

  it('is lost alone when bytes of it are altered', () => {
    const flips = fc.array(fc.record({ at: fc.nat(), by: fc.integer({ min: 1, max: 255 }) }), {
      minLength: 1,
      maxLength: 6,
    });
    fc.assert(
      fc.property(facts, flips, (written, chosen) => {
        const lines = written.map(encodeLine);
        const bytes = Buffer.from(lines.join(''));
        const before = Buffer.from(bytes);
        for (const { at, by } of chosen) {
          bytes.writeUInt8(bytes.readUInt8(at % bytes.length) ^ by, at % bytes.length);
        }
        const whole = spans(lines).map(
          ({ start, end }) => bytes.compare(before, start, end, start, end) === 0,
        );
        expect(factsIn(bytes)).toEqual(
          written.filter((_, n) => whole[n]).map((one) => JSON.parse(JSON.stringify(one))),
        );
        if (whole.includes(false)) expect(damageIn(bytes)).toBeGreaterThan(0);
      }),
    );
  });

  it('is lost alone when bytes of it are missing, or others are put between', () => {
    const cut = fc.record({ at: fc.nat(), bytes: fc.nat(400), put: fc.uint8Array({ maxLength: 40 }) });
    fc.assert(
      fc.property(facts, cut, (written, { at, bytes: length, put }) => {
        const lines = written.map(encodeLine);
        const bytes = Buffer.from(lines.join(''));
        const from = at % bytes.length;
        const to = Math.min(bytes.length, from + length);
        const damaged = Buffer.concat([bytes.subarray(0, from), put, bytes.subarray(to)]);
        const whole = spans(lines).map(({ start, end }) => end <= from || start >= to);
        const expected = written.filter((_, n) => whole[n]);
        // A cut of nothing is damage only if something was put there.
        expect(factsIn(damaged)).toEqual(expect.arrayContaining(JSON.parse(JSON.stringify(expected))));
      }),
    );
  });

  it('is lost alone when it was torn at the end', () => {
    fc.assert(
      fc.property(facts, fc.nat(), (written, keep) => {
        const lines = written.map(encodeLine);
        const bytes = Buffer.from(lines.join(''));
        const kept = keep % bytes.length;
        const expected = written.filter((_, n) => (spans(lines)[n]?.end ?? 0) <= kept);
        expect(factsIn(bytes.subarray(0, kept))).toEqual(JSON.parse(JSON.stringify(expected)));
      }),
    );
  });

  it.each([
    ['of a later version', '7', '{"kind":"event","contract":1,"event":{"requestId":"r","accountId":"a"}}'],
    ['of an unknown kind', '1', '{"kind":"receipt","requestId":"r"}'],
    ['without a request', '1', '{"kind":"event","contract":1,"event":{"accountId":"a"}}'],
  ])('is kept as foreign where it is %s', async (_what, version, json) => {
    const { crc32 } = await import('node:zlib');
    const summed = `${String(Buffer.byteLength(json))} ${version} ${json}`;
    const line = `\u001e${crc32(summed).toString(16).padStart(8, '0')} ${summed}\n`;
    expect([...readLines(Buffer.from(line))]).toEqual([{ foreign: json }]);
  });
});
