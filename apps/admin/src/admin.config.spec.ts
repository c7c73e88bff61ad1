import { MasterKey, loadConfig } from '@tollgate/runtime';
import { adminConfigSchema } from './admin.config.js';

const environment = { DATABASE_URL: 'postgres://app@localhost/tollgate', MASTER_KEY: MasterKey.generate() };

describe('the configuration of the admin process', () => {
  it('has a default for everything but the database and the master key', () => {
    expect(loadConfig(adminConfigSchema, environment)).toMatchObject({
      HOST: '127.0.0.1',
      PORT: 8081,
      UPSTREAM_PRIVATE_NETWORKS: 'allow',
      MASTER_KEY: expect.any(MasterKey),
    });
  });

  it('names what is missing or wrong', () => {
    const load = () => loadConfig(adminConfigSchema, { MASTER_KEY: 'c2hvcnQ=', DATABASE_URL: 'mysql://x' });
    expect(load).toThrow(/DATABASE_URL: must be a postgres/);
    expect(load).toThrow(/MASTER_KEY must be 32 bytes/);
  });
});
