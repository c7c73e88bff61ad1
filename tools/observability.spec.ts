import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parser } from '@prometheus-io/lezer-promql';
import { parse } from 'yaml';

// Dashboard and alerts, against what docs/observability.md says that there is. Each app compares that page with its own registry.

const root = join(__dirname, '..');
const read = (path: string): string => readFileSync(join(root, path), 'utf8');

const documented = new Set(
  [...read('docs/observability.md').matchAll(/`((?:tollgate|process|nodejs)_[a-z0-9_]+)`/g)].map(
    ([, name]) => name,
  ),
);
const headings = new Set(
  [...read('docs/observability.md').matchAll(/^#+ (.+)$/gm)].map(([, title = '']) =>
    title.toLowerCase().replaceAll(' ', '-'),
  ),
);

interface Rule {
  readonly alert: string;
  readonly expr: string;
  readonly annotations: { readonly runbook: string };
}

const alerts: { groups: { rules: Rule[] }[] } = parse(read('ops/prometheus/alerts.yml'));
const rules = alerts.groups.flatMap((group) => group.rules);
const dashboard: { panels: { title: string; targets?: { expr: string }[] }[] } = JSON.parse(
  read('ops/grafana/tollgate.json'),
);

const queries = [
  ...rules.map(({ alert, expr }) => ({ of: alert, expr })),
  ...dashboard.panels.flatMap(({ title, targets = [] }) => targets.map(({ expr }) => ({ of: title, expr }))),
  // Grafana puts a duration there.
].map(({ of, expr }): [string, string] => [of, expr.replaceAll('$__rate_interval', '5m')]);

/** The metrics that a query names, and the places at which it cannot be parsed. */
function inspect(expr: string): { metrics: string[]; errors: number[] } {
  const metrics: string[] = [];
  const errors: number[] = [];
  parser.parse(expr).iterate({
    enter: ({ type, from, to }) => {
      if (type.isError) errors.push(from);
      if (type.name === 'VectorSelector') metrics.push(/^[\w:]+/.exec(expr.slice(from, to))?.[0] ?? '');
    },
  });
  return { metrics, errors };
}

describe('the queries of alerts and dashboard', () => {
  it('are many', () => expect(queries.length).toBeGreaterThan(50));

  it.each(queries)('%s: %s', (_of, expr) => {
    const { metrics, errors } = inspect(expr);
    expect(errors).toEqual([]);
    expect(metrics).not.toEqual([]);
    const unknown = metrics
      .map((name) => (documented.has(name) ? name : name.replace(/_(bucket|sum|count|p99_seconds)$/, '')))
      .filter((name) => name !== 'up' && !documented.has(name) && !documented.has(`${name}_seconds`));
    expect(unknown).toEqual([]);
  });

  it('would be found out if they were wrong', () => {
    expect(inspect('sum(rate(up[5m])').errors).not.toEqual([]);
    expect(inspect('nothing_total + on() up').metrics).toEqual(['nothing_total', 'up']);
  });
});

describe('the alerts', () => {
  it.each(rules.map(({ alert, annotations }) => [alert, annotations.runbook]))(
    '%s has a runbook that names it',
    (alert, runbook) => {
      const [path = '', anchor = ''] = runbook.split('#');
      expect(path).toBe('docs/observability.md');
      expect(headings).toContain(anchor);
      expect(read(path)).toContain(`\`${alert}\``);
    },
  );
});
