import { loadConfig } from '@tollgate/runtime';
import { launcherConfigSchema } from '../launcher.config.js';
import { describeProcesses, type ProcessSpecs } from './process-specs.js';

const describeWith = (environment: Record<string, string>): ProcessSpecs =>
  describeProcesses({
    config: loadConfig(launcherConfigSchema, environment),
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

  it('have no demo upstream where it is switched off', () => {
    expect(describeWith({ DEMO_UPSTREAM: 'off' }).demoUpstream).toBeNull();
  });
});
