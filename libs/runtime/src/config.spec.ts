import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { z } from 'zod';
import { ConfigError, loadConfig, portSchema, processConfigSchema } from './config.js';

const schema = z.object({
  DATABASE_URL: z.string(),
  PORT: portSchema.default(8080),
  SECRET: z.string().min(8),
});

describe('loadConfig', () => {
  it('takes an empty variable as not set', () => {
    const config = loadConfig(schema, { DATABASE_URL: 'postgres://x', PORT: '', SECRET: 'long enough' });
    expect(config.PORT).toBe(8080);
  });

  it('names each variable that is wrong, and no value', () => {
    const load = (): unknown => loadConfig(schema, { PORT: 'eighty', SECRET: 'hush' });
    expect(load).toThrow(ConfigError);
    expect(load).toThrow(/DATABASE_URL[\s\S]*PORT[\s\S]*SECRET/);
    expect(load).not.toThrow(/eighty|hush/);
  });
});

describe('a variable that is given as a file', () => {
  const folder = mkdtempSync(join(tmpdir(), 'tollgate-config-'));
  const path = join(folder, 'secret');
  const rest = { DATABASE_URL: 'postgres://x' };

  afterAll(() => rmSync(folder, { recursive: true }));

  it('has the content of the file without its last line break', () => {
    writeFileSync(path, 'from the file\n');
    expect(loadConfig(schema, { ...rest, SECRET: '', SECRET_FILE: path }).SECRET).toBe('from the file');
  });

  it('is the variable itself where both are given, and then the file is not read', () => {
    const environment = { ...rest, SECRET: 'from the variable', SECRET_FILE: join(folder, 'missing') };
    expect(loadConfig(schema, environment).SECRET).toBe('from the variable');
  });

  it('is named once if its file cannot be read', () => {
    const load = (): unknown => loadConfig(schema, { ...rest, SECRET_FILE: join(folder, 'missing') });
    expect(load).toThrow(/SECRET_FILE: .*missing cannot be read \(ENOENT\)$/);
  });

  it('counts as not set if its file is empty', () => {
    writeFileSync(path, '\n');
    expect(() => loadConfig(schema, { ...rest, SECRET_FILE: path })).toThrow(/SECRET: /);
  });

  it("is one of the schema: other variables that end so are nobody's files", () => {
    expect(() =>
      loadConfig(schema, { ...rest, SECRET: 'long enough', SSL_CERT_FILE: '/missing' }),
    ).not.toThrow();
  });
});

describe('processConfigSchema', () => {
  it.each(['mysql://x', 'redis://:@:6379', 'redis:///', 'localhost:6379'])('refuses %s for Redis', (url) => {
    expect(() => loadConfig(processConfigSchema, { REDIS_URL: url })).toThrow(/REDIS_URL: must be a redis/);
  });

  it('takes Redis with and without TLS and password', () => {
    for (const REDIS_URL of ['redis://redis:6379', 'rediss://user:pass@redis.example/1']) {
      expect(loadConfig(processConfigSchema, { REDIS_URL }).REDIS_URL).toBe(REDIS_URL);
    }
  });
});
