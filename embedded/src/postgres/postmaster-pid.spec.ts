import { isAlive, isPostmasterOf, readPostmasterPid } from './postmaster-pid.js';

describe('postmaster.pid', () => {
  it('is absent in a folder that does not exist', () => {
    expect(readPostmasterPid('/nowhere/at/all')).toBeNull();
  });

  it('does not take this process for a Postgres', () => {
    expect(isAlive(process.pid)).toBe(true);
    expect(isPostmasterOf(process.pid, '/')).toBe(false);
  });
});
