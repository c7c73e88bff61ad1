import { decodeGenerator, encode } from 'gpt-tokenizer/encoding/o200k_base';

/** The tokenizer takes quadratic time for letters without a break: 100,000 of them would block it for a minute. */
const UNBROKEN_LENGTH_MAX = 500;

/** Text that looks like a control token is text. */
const asText = { disallowedSpecial: new Set<string>() };

/** Encodes text of any shape in linear time: runs without a break are cut, at the cost of a token per cut. */
export function encodeText(text: string): number[] {
  return cutRuns(text).flatMap((piece) => encode(piece, asText));
}

/** The texts of tokens, each ending on a whole character. */
export function tokenTexts(tokens: readonly number[]): string[] {
  return [...decodeGenerator(tokens)];
}

/** Cuts text where more than so many blanks, or letters that are none, follow one another. */
export function cutRuns(text: string, lengthMax = UNBROKEN_LENGTH_MAX): string[] {
  const pieces: string[] = [];
  let pieceStart = 0;
  let runStart = 0;
  let runBlank = false;
  for (let at = 0; at < text.length; at += 1) {
    const blank = isBlank(text.charCodeAt(at));
    if (blank !== runBlank) {
      runStart = at;
      runBlank = blank;
    } else if (at - runStart >= lengthMax && !isLowSurrogate(text.charCodeAt(at))) {
      pieces.push(text.slice(pieceStart, at));
      pieceStart = at;
      runStart = at;
    }
  }
  pieces.push(text.slice(pieceStart));
  return pieces;
}

function isBlank(unit: number): boolean {
  return unit === 0x20 || unit === 0x0a || unit === 0x09 || unit === 0x0d;
}

function isLowSurrogate(unit: number): boolean {
  return unit >= 0xdc00 && unit <= 0xdfff;
}
