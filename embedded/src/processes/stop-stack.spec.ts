import { StopStack } from './stop-stack.js';

describe('StopStack', () => {
  it('stops what was started last first, even if one of them fails', async () => {
    const seen: string[] = [];
    const stack = new StopStack((message) => seen.push(message));
    stack.push('Postgres', async () => void seen.push('Postgres'));
    stack.push('billing', () => Promise.reject(new Error('it is stuck')));
    stack.push('gateway', () => void seen.push('gateway'));
    await stack.stopAll();
    expect(seen).toEqual(['gateway', 'billing: could not be stopped in order: it is stuck', 'Postgres']);
  });

  it('stops everything once', async () => {
    let stops = 0;
    const stack = new StopStack(() => undefined);
    stack.push('lock', () => void (stops += 1));
    await Promise.all([stack.stopAll(), stack.stopAll()]);
    expect(stops).toBe(1);
  });
});
