import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Health, ProcessMetrics } from '@tollgate/runtime';
import { BillingMetrics } from './billing-metrics.js';

let processMetrics: ProcessMetrics;
let metrics: BillingMetrics;

beforeEach(() => {
  processMetrics = new ProcessMetrics('billing', new Health());
  metrics = new BillingMetrics(processMetrics);
});

async function linesOf(name: string): Promise<string[]> {
  return (await processMetrics.render()).split('\n').filter((line) => line.startsWith(name));
}

describe('BillingMetrics', () => {
  it('has the metrics that docs/observability.md describes, and no others', () => {
    processMetrics.watchPool({ totalCount: 0, idleCount: 0, waitingCount: 0 });
    const page = readFileSync(join(__dirname, '../../../../docs/observability.md'), 'utf8');
    const rows = [...page.matchAll(/^\| `(tollgate_\w+)`/gm)].map(([, name = '']) => name);
    const ours = rows.filter((name) => !/^tollgate_(admin|gateway)_/.test(name));
    expect(processMetrics.names().filter((name) => name.startsWith('tollgate_'))).toEqual([...ours].sort());
  });

  it('shows nothing that it does not know', async () => {
    expect(await linesOf('tollgate_billing_queue')).toEqual(['tollgate_billing_queue_reachable 0']);
    expect(await linesOf('tollgate_billing_dead')).toEqual([]);
    expect(await linesOf('tollgate_billing_ledger')).toEqual([]);
  });

  it('shows the age of the oldest event, and none where none waits', async () => {
    metrics.backlog = { jobs: { waiting: 3 }, oldestEventAtMs: Date.now() - 90_000 };
    const [line = ''] = await linesOf('tollgate_billing_queue_oldest_event_age_seconds');
    expect(Number(line.split(' ')[1])).toBeCloseTo(90, 0);
    expect(await linesOf('tollgate_billing_queue_jobs')).toEqual([
      'tollgate_billing_queue_jobs{state="waiting"} 3',
    ]);
    metrics.backlog = { jobs: {}, oldestEventAtMs: null };
    expect(await linesOf('tollgate_billing_queue_oldest')).toEqual([
      'tollgate_billing_queue_oldest_event_age_seconds 0',
    ]);
  });

  it('counts what settling did', async () => {
    const settled = { requestId: 'r', outcome: 'settled', reason: null, chargedNano: 500_000_000n } as const;
    metrics.settlements.count([
      { ...settled, absorbedNano: 0n },
      { ...settled, absorbedNano: 250_000_000n },
    ]);
    expect(await linesOf('tollgate_charged_credits_total')).toEqual(['tollgate_charged_credits_total 1']);
    expect(await linesOf('tollgate_absorbed')).toEqual([
      'tollgate_absorbed_events_total 1',
      'tollgate_absorbed_credits_total 0.25',
    ]);
  });
});
