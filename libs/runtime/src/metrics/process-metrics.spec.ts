import { Health } from '../health.js';
import { ProcessMetrics } from './process-metrics.js';

let metrics: ProcessMetrics;
let health: Health;

beforeEach(() => {
  health = new Health();
  metrics = new ProcessMetrics('test', health);
});

async function linesOf(name: string): Promise<string[]> {
  return (await metrics.render()).split('\n').filter((line) => line.startsWith(name));
}

describe('ProcessMetrics', () => {
  it('shows counters by their labels, in any alphabet', async () => {
    const family = metrics.counter({ name: 'things_total', help: 'Things.', labelNames: ['kind'] });
    family.with('a').add();
    family.with('a').add(2);
    family.with('"模\\\n').add(0.5);
    expect(await linesOf('things_total')).toEqual([
      'things_total{kind="a"} 3',
      'things_total{kind="\\"模\\\\\\n"} 0.5',
    ]);
  });

  it('shows a counter without labels before anything was counted', async () => {
    metrics.counter({ name: 'things_total', help: 'Things.' });
    expect(await linesOf('things_total')).toEqual(['things_total 0']);
  });

  it('shows histograms as cumulative buckets', async () => {
    const family = metrics.histogram({
      name: 'wait_seconds',
      help: 'Waits.',
      labelNames: ['who'],
      bounds: [1, 2],
    });
    const histogram = family.with('x');
    for (const value of [0.5, 1, 1.5, 9]) histogram.observe(value);
    expect(await linesOf('wait_seconds')).toEqual([
      'wait_seconds_bucket{le="1",who="x"} 2',
      'wait_seconds_bucket{le="2",who="x"} 3',
      'wait_seconds_bucket{le="+Inf",who="x"} 4',
      'wait_seconds_sum{who="x"} 12',
      'wait_seconds_count{who="x"} 4',
    ]);
  });

  it('asks gauges when it is scraped, and leaves out what is not known', async () => {
    let value: number | null = 7;
    metrics.gauge({ name: 'depth', help: 'Depth.', read: () => value });
    metrics.gauge({ name: 'by_state', help: 'States.', labelNames: ['state'], read: () => [[['on'], 1]] });
    expect([await linesOf('depth'), await linesOf('by_state')]).toEqual([
      ['depth 7'],
      ['by_state{state="on"} 1'],
    ]);
    value = null;
    expect(await linesOf('depth')).toEqual([]);
  });

  it('asks whether the process is ready once in five seconds, and knows at once that it stops', async () => {
    let asked = 0;
    health.require('part', () => {
      asked += 1;
      return 'is missing';
    });
    expect(await linesOf('tollgate_ready')).toEqual(['tollgate_ready 0']);
    await metrics.render();
    expect([asked, await linesOf('tollgate_draining')]).toEqual([1, ['tollgate_draining 0']]);
    health.drain();
    expect(await linesOf('tollgate_draining')).toEqual(['tollgate_draining 1']);
  });

  it('has no names that promise another kind of metric', () => {
    expect(metrics.names().filter((name) => /^nodejs_active.*_total$/.test(name))).toEqual([]);
  });
});
