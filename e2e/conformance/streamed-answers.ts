import { DONE, chunk, frame, usage } from './scripted-upstream.js';

/** The parsed data of every event of a stream but the sentinel. */
export function eventsOf(text: string): any[] {
  const blocks = text.split('\n\n').filter((block) => block.startsWith('data: {'));
  return blocks.map((block) => JSON.parse(block.slice('data: '.length)));
}

/** The text that a client puts together. */
export function said(events: readonly any[]): string {
  return events.map(({ choices }) => choices?.[0]?.delta?.content ?? '').join('');
}

export const OPENING = chunk({ role: 'assistant', content: '' });
export const HELLO = [OPENING, chunk({ content: 'Hel' }), chunk({ content: 'lo' })];
export const USAGE = frame({ choices: [], usage: usage(13, 2) });
export const WHOLE = [...HELLO, chunk({}, 'stop'), USAGE, DONE];
