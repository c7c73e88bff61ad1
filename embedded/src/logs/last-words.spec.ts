import { lastWords } from './last-words.js';

const line = (fields: object): string =>
  JSON.stringify({ time: '2026-11-21T12:00:00Z', name: 'x', ...fields });

describe('the last words of a process', () => {
  it('are the messages of its errors, each once', () => {
    const failed = line({
      level: 60,
      err: { message: 'no such database', stack: 'Error: …' },
      msg: 'could not start',
    });
    const log = [line({ level: 30, msg: 'starting' }), failed, failed].join('\n');
    expect(lastWords(log)).toBe('could not start: no such database');
  });

  it('say the same thing once', () => {
    expect(lastWords(line({ level: 60, err: { message: 'gone' }, msg: 'gone' }))).toBe('gone');
  });

  it('are what Node printed, where the process did not come so far as to log', () => {
    const log = `${line({ level: 30, msg: 'starting' })}\nError: Cannot find module x\n    at y.js:1`;
    expect(lastWords(log)).toBe('Error: Cannot find module x\n    at y.js:1');
  });

  it('are the last lines where nothing is an error', () => {
    expect(lastWords(line({ level: 30, msg: 'starting' }))).toContain('starting');
    expect(lastWords('')).toBe('');
  });
});
