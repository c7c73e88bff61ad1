import { loadConfig } from '@tollgate/runtime';
import { launcherConfigSchema } from '../launcher.config.js';
import { describeProcesses, type ProcessSpecs } from './process-specs.js';

const describeWith = (environment: Record<string, string>): ProcessSpecs =>
  describeProcesses({
    config: loadConfig(launcherConfigSchema, environment),
    dataDir: '/data',
    logDir: '/logs',
    databaseUrl: 'postgres://x',
    masterKey: 'k',
    report: () => undefined,
  });

describe('the processes of an installation', () => {
  it('listen where HOST says, but the demo upstream, which takes any credential, on loopback alone', () => {
    const { gateway, demoUpstream } = describeWith({ HOST: '0.0.0.0' });
    expect(gateway).toMatchObject({ origin: 'http://127.0.0.1:8080', environment: { HOST: '0.0.0.0' } });
    expect(demoUpstream?.environment['HOST']).toBe('127.0.0.1');
    expect(describeWith({ HOST: '10.0.0.7' }).demoUpstream?.origin).toBe('http://127.0.0.1:8083');
  });

  it('keep the journal in the data folder, and holds in Postgres, unless told', () => {
    expect(describeWith({}).gateway.environment).toMatchObject({
      JOURNAL_DIR: '/data/journal',
      HOLD_STORE: 'postgres',
    });
    const told = describeWith({
      JOURNAL_DIR: '/elsewhere',
      HOLD_STORE: 'redis',
      REDIS_URL: 'redis://r:6379',
    });
    expect(told.gateway.environment).toMatchObject({ JOURNAL_DIR: '/elsewhere', HOLD_STORE: 'redis' });
  });

  it('have no demo upstream where it is switched off', () => {
    expect(describeWith({ DEMO_UPSTREAM: 'off' }).demoUpstream).toBeNull();
  });
});
