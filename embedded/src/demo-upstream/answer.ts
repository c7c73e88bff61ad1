import { DEMO_OUTPUT_TOKENS_MAX } from './demo-model.js';
import { encodeText, tokenTexts } from './tokens.js';

const QUOTE_LENGTH_MAX = 400;

/** An answer of the demo model: its text in pieces, as a stream would carry them. */
export interface DemoAnswer {
  readonly pieces: readonly string[];
  readonly tokens: number;
  readonly finishReason: 'stop' | 'length';
}

/** Answers a prompt: always the same for the same prompt, cut at the stop words and at the cap on output tokens. */
export function answerPrompt(options: {
  prompt: string;
  outputTokensCap: number | null;
  stops?: readonly string[];
}): DemoAnswer {
  const text = cutAtStop(compose(options.prompt), options.stops ?? []);
  const tokens = encodeText(text);
  const cap = Math.min(options.outputTokensCap ?? DEMO_OUTPUT_TOKENS_MAX, DEMO_OUTPUT_TOKENS_MAX);
  const given = tokens.slice(0, cap);
  return {
    pieces: tokenTexts(given),
    tokens: given.length,
    finishReason: given.length < tokens.length ? 'length' : 'stop',
  };
}

function compose(prompt: string): string {
  if (prompt === '') return 'Hello! You sent no text, so there is little to say. Ask me something.';
  const words = prompt.split(/\s+/u);
  const letters = [...prompt].length;
  return [
    `Hello! You wrote: “${shorten(prompt)}”`,
    `That is ${count(words.length, 'word')} and ${count(letters, 'letter')}.`,
    `Read backwards it goes: “${shorten(words.toReversed().join(' '))}”`,
    'I am the demo model of Tollgate. I do not think, but every token of this answer is counted and paid for ' +
      'like that of a model that does. Add a deployment of your own to talk to a real one.',
  ].join('\n\n');
}

function shorten(text: string): string {
  const letters = [...text];
  return letters.length <= QUOTE_LENGTH_MAX ? text : `${letters.slice(0, QUOTE_LENGTH_MAX).join('')}…`;
}

function count(amount: number, noun: string): string {
  return `${amount} ${noun}${amount === 1 ? '' : 's'}`;
}

function cutAtStop(text: string, stops: readonly string[]): string {
  const ends = stops.filter((stop) => stop !== '').map((stop) => text.indexOf(stop));
  const found = ends.filter((end) => end >= 0);
  return found.length === 0 ? text : text.slice(0, Math.min(...found));
}
