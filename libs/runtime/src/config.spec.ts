import { z } from 'zod';
import { ConfigError, loadConfig, portSchema } from './config.js';

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
