import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { SettlementMetrics } from '@tollgate/ledger';
import { Health, ProcessMetrics } from '@tollgate/runtime';
import { GatewayMetrics } from './gateway-metrics.js';

let processMetrics: ProcessMetrics;
let metrics: GatewayMetrics;

beforeEach(() => {
  processMetrics = new ProcessMetrics('gateway', new Health());
  metrics = new GatewayMetrics(processMetrics);
});

async function linesOf(name: string): Promise<string[]> {
  return (await processMetrics.render()).split('\n').filter((line) => line.startsWith(name));
}

describe('GatewayMetrics', () => {
  it('has the metrics that docs/observability.md describes, and no others', () => {
    new SettlementMetrics(processMetrics);
    processMetrics.watchPool({ totalCount: 0, idleCount: 0, waitingCount: 0 });
    metrics.watch({
      requestsInFlight: () => 0,
      liveHolds: () => 0,
      bufferedEvents: () => 0,
      bufferedEventsMax: 1,
      journal: () => null,
    });
    const page = readFileSync(join(__dirname, '../../../../docs/observability.md'), 'utf8');
    const rows = [...page.matchAll(/^\| `(tollgate_\w+)`/gm)].map(([, name = '']) => name);
    const ours = rows.filter((name) => !/^tollgate_(admin|billing)_/.test(name));
    expect(processMetrics.names().filter((name) => name.startsWith('tollgate_'))).toEqual([...ours].sort());
  });

  it('counts a request by how it ended', async () => {
    const ended = { endpoint: '/v1/x', model: 'm', outcome: 'completed', status: 200, seconds: 3 };
    metrics.ended({ ...ended, firstTokenSeconds: 0.2 });
    metrics.ended({ ...ended, firstTokenSeconds: null });
    expect(await linesOf('tollgate_gateway_requests_total')).toEqual([
      'tollgate_gateway_requests_total{endpoint="/v1/x",model="m",outcome="completed",status="200"} 2',
    ]);
    expect(await linesOf('tollgate_gateway_request_duration_seconds_sum')).toEqual([
      'tollgate_gateway_request_duration_seconds_sum{endpoint="/v1/x",model="m"} 6',
    ]);
    expect(await linesOf('tollgate_gateway_time_to_first_token_seconds_count')).toEqual([
      'tollgate_gateway_time_to_first_token_seconds_count{endpoint="/v1/x",model="m"} 1',
    ]);
  });

  it('counts tokens by kind, and cost in credits', async () => {
    metrics.used({ model: 'm', units: { input: 5, output: 7 }, costNano: '1500000000' });
    metrics.used({ model: 'm', units: { input: 1 }, costNano: '0' });
    expect(await linesOf('tollgate_gateway_tokens_total{model="m",kind="input"}')).toEqual([
      'tollgate_gateway_tokens_total{model="m",kind="input"} 6',
    ]);
    expect(await linesOf('tollgate_gateway_cost_credits_total')).toEqual([
      'tollgate_gateway_cost_credits_total{model="m"} 1.5',
    ]);
  });

  it('keeps the number of models bounded', async () => {
    for (let n = 0; n < 1_200; n += 1) metrics.used({ model: `m${n}`, units: {}, costNano: '1000000000' });
    const lines = await linesOf('tollgate_gateway_cost_credits_total');
    expect(lines).toHaveLength(1_001);
    expect(lines).toContain('tollgate_gateway_cost_credits_total{model="other"} 200');
  });
});
