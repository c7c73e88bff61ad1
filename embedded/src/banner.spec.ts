import { banner, type Places } from './banner.js';
import { LIST_PRICES } from './first-run/list-prices-2026-11.js';
import type { ProcessSpec } from './processes/supervised-process.js';

const spec = (port: number): ProcessSpec => ({
  name: 'x',
  entry: '',
  environment: { SECRET: 'a-secret' },
  logFile: '',
  origin: `http://127.0.0.1:${port}`,
  drainTimeoutMs: 1,
  report: () => undefined,
});
const places: Places = {
  specs: { gateway: spec(8080), admin: spec(8081), billing: spec(8082), demoUpstream: spec(8083) },
  host: '127.0.0.1',
  postgresPort: 5432,
  dataDir: '/srv/data',
  logDir: '/srv/data/logs',
  openaiBaseUrl: 'https://api.openai.com/v1',
};

describe('the banner', () => {
  it('shows the secrets of a first run with a request that is ready to send', () => {
    const firstRun = { operatorToken: 'tgop_x', demo: { apiKey: 'sk-y', accountId: 'an-account' } };
    const text = banner(places, { firstRun, openaiModels: null });
    expect(text).toContain(
      'curl -N http://127.0.0.1:8080/v1/chat/completions \\\n    -H "Authorization: Bearer sk-y"',
    );
    expect(text).toContain('curl http://127.0.0.1:8081/admin/v1/accounts/an-account/transfers');
    expect(text).toContain('Operator token tgop_x');
  });

  it('has an operator token alone to show without a demo upstream, and says what comes next', () => {
    const specs = { ...places.specs, demoUpstream: null };
    const firstRun = { operatorToken: 'tgop_x', demo: null };
    const text = banner({ ...places, specs }, { firstRun, openaiModels: null });
    expect(text).toMatch(/Demo upstream +off\n/);
    expect(text).toMatch(/Operator token tgop_x[^]*docs\/first-model\.md/);
    expect(text).not.toMatch(/API key|demo-chat/);
  });

  it('says who is reached from everywhere', () => {
    const result = { firstRun: null, openaiModels: null };
    expect(banner({ ...places, host: '0.0.0.0' }, result)).toContain(
      'HOST is 0.0.0.0: gateway, admin and billing listen on every address of this machine',
    );
    expect(banner(places, result)).not.toContain('every address');
  });

  it('has no secrets to show later', () => {
    const text = banner(places, { firstRun: null, openaiModels: null });
    expect(text).toContain('http://127.0.0.1:8082/health/ready');
    expect(text).toContain('http://127.0.0.1:8081/admin/docs');
    expect(text).not.toMatch(/secret|Bearer|tgop_|sk-/);
  });

  it('says of list prices when they were written down', () => {
    const text = banner(places, { firstRun: null, openaiModels: ['gpt-4o'] });
    expect(text).toContain('with gpt-4o.\nTheir prices are list prices as of 2026-11-21: check them');
    expect(banner(places, { firstRun: null, openaiModels: [] })).toContain('none of the listed models');
  });
});

describe('the list prices', () => {
  it('are at most eight, in decimal strings that the admin takes', () => {
    expect(LIST_PRICES.length).toBeLessThanOrEqual(8);
    const rates = LIST_PRICES.flatMap(({ input, cachedInput, output }) => [input, cachedInput, output]);
    expect(rates.filter((rate) => !/^\d+(\.\d{1,6})?$/.test(rate))).toEqual([]);
  });
});
