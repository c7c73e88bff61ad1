import { ConfigError, loadConfig } from '@tollgate/runtime';
import { gatewayConfigSchema } from './gateway.config.js';

const load = (DIALECT_HOSTS?: string) =>
  loadConfig(gatewayConfigSchema, {
    DATABASE_URL: 'postgres://app@127.0.0.1/tollgate',
    MASTER_KEY: 'x',
    DIALECT_HOSTS,
  });

describe('DIALECT_HOSTS', () => {
  it('is read as dialects by host, and may be left out', () => {
    expect(load('A.example=openai').DIALECT_HOSTS).toEqual(new Map([['a.example', 'openai']]));
    expect(load().DIALECT_HOSTS.size).toBe(0);
    expect(load('').DIALECT_HOSTS.size).toBe(0);
  });

  it('keeps a process from starting where it cannot be read', () => {
    expect(() => load('a.example=klingon')).toThrow(ConfigError);
    expect(() => load('a.example=klingon')).toThrow('DIALECT_HOSTS: "a.example=klingon" is not host=dialect');
  });
});

describe('HOLD_STORE', () => {
  it('is Postgres unless told, and is Redis only where there is one', () => {
    const settings = { DATABASE_URL: 'postgres://app@127.0.0.1/tollgate', MASTER_KEY: 'x' };
    expect(loadConfig(gatewayConfigSchema, settings).HOLD_STORE).toBe('postgres');
    const inRedis = { ...settings, HOLD_STORE: 'redis' };
    expect(loadConfig(gatewayConfigSchema, { ...inRedis, REDIS_URL: 'redis://redis' }).HOLD_STORE).toBe(
      'redis',
    );
    expect(() => loadConfig(gatewayConfigSchema, inRedis)).toThrow('HOLD_STORE: redis needs REDIS_URL');
  });
});
