import { repeatTask } from './repeated-task.js';

describe('repeatTask', () => {
  it('goes on after a run that failed, and ends with the run at hand', async () => {
    let runs = 0;
    let inFlight = 0;
    const errors: unknown[] = [];
    const task = repeatTask({
      intervalMs: 1,
      run: async () => {
        inFlight += 1;
        expect(inFlight).toBe(1);
        runs += 1;
        await new Promise((resolve) => setTimeout(resolve, 5));
        inFlight -= 1;
        if (runs === 1) throw new Error('once');
      },
      onError: (error) => errors.push(error),
    });
    while (runs < 3) await new Promise((resolve) => setTimeout(resolve, 1));
    await task.stop();
    const after = runs;
    expect([inFlight, errors.length]).toEqual([0, 1]);
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect(runs).toBe(after);
  });
});
