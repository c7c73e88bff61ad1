import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Health, NO_TRACING, ProcessMetrics, createLogger } from '@tollgate/runtime';
import { AdminTelemetry } from './admin-telemetry.js';

describe('AdminTelemetry', () => {
  it('has the metrics that docs/observability.md describes, and no others', () => {
    const metrics = new ProcessMetrics('admin', new Health());
    new AdminTelemetry(metrics, NO_TRACING, createLogger('admin', 'silent'));
    metrics.watchPool({ totalCount: 0, idleCount: 0, waitingCount: 0 });
    const page = readFileSync(join(__dirname, '../../../../docs/observability.md'), 'utf8');
    const rows = [...page.matchAll(/^\| `(tollgate_\w+)`/gm)].map(([, name = '']) => name);
    const ours = rows.filter((name) => /^tollgate_(admin|build|ready|draining|database)/.test(name));
    expect(metrics.names().filter((name) => name.startsWith('tollgate_'))).toEqual([...ours].sort());
  });

  it('tells the log of each change', () => {
    const lines: string[] = [];
    const logger = createLogger('admin', 'info', { write: (line) => lines.push(line) });
    const told = { action: 'account.create', target: 'account/1', actor: 'operator:ada', requestId: 'req_1' };
    new AdminTelemetry(new ProcessMetrics('admin', new Health()), NO_TRACING, logger).changed(told);
    expect(lines.map((line) => JSON.parse(line))).toEqual([expect.objectContaining(told)]);
  });
});
