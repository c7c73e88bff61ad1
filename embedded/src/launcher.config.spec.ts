import { loadConfig } from '@tollgate/runtime';
import { launcherConfigSchema } from './launcher.config.js';

const load = (environment: Record<string, string>): unknown => loadConfig(launcherConfigSchema, environment);

describe('the configuration of the launcher', () => {
  it('has a default for everything', () => {
    expect(load({})).toMatchObject({ GATEWAY_PORT: 8080, DEMO_UPSTREAM: 'on', DEMO_PIECE_DELAY_MS: 10 });
  });

  it.each([
    ['DATABASE_URL', 'nonsense', 'must be a postgres:// URL'],
    ['DATABASE_OWNER_URL', 'mysql://x', 'must be a postgres:// URL'],
    ['MASTER_KEY', 'short', 'must be 32 bytes in base64'],
    ['DEMO_UPSTREAM', 'no', 'must be on or off'],
    ['DEMO_PIECE_DELAY_MS', '-1', 'must be 0 to 10000 milliseconds'],
    ['STATEMENT_TIMEOUT_MS', '1', 'must be 100 to 600000 milliseconds'],
    ['REDIS_URL', 'localhost', 'must be a redis://'],
    ['HOLD_STORE', 'memory', 'must be postgres or redis'],
    ['DRAIN_DELAY_MS', 'soon', 'must be milliseconds'],
  ])('refuses %s=%s before a process that reads it is started', (name, value, message) => {
    expect(() => load({ [name]: value })).toThrow(`${name}: ${message}`);
  });
});
