import { readFileSync } from 'node:fs';
import { Gauge, Registry, collectDefaultMetrics, type Metric } from 'prom-client';
import { z } from 'zod';
import type { Health } from '../health.js';
import { CounterFamily } from './counter-family.js';
import { HistogramFamily } from './histogram-family.js';
import type { FamilyOptions } from './metric-family.js';

/** This file is two folders below the package's root in the source as in the build. */
const PACKAGE_FILE = new URL('../../package.json', import.meta.url);

/** Gauges of Node's whose names promise counters; Prometheus' own checks refuse them. */
const MISNAMED = [
  'nodejs_active_resources_total',
  'nodejs_active_handles_total',
  'nodejs_active_requests_total',
];

/** How old an answer of the readiness checks may be in a scrape. */
const READY_AGE_MAX_MS = 5_000;

/** A gauge whose value is asked for when it is scraped. */
export interface GaugeOptions extends FamilyOptions {
  /**
   * Values by label values, in the order of the label names; without labels just the one number, or null where it is not
   * known. Must not wait.
   */
  readonly read: () => number | null | Iterable<readonly [labelValues: readonly string[], value: number]>;
}

/** A pool of connections to Postgres, as `pg` makes it. */
export interface CountedPool {
  readonly totalCount: number;
  readonly idleCount: number;
  readonly waitingCount: number;
}

/** The metrics of one process, in a registry of its own: what every process has, and what its app adds. */
export class ProcessMetrics {
  readonly registry = new Registry();
  private ready = { value: 0, readAtMs: Number.NEGATIVE_INFINITY };

  constructor(processName: string, health: Health) {
    collectDefaultMetrics({ register: this.registry });
    for (const name of MISNAMED) this.registry.removeSingleMetric(name);
    this.gauge({
      name: 'tollgate_build_info',
      help: 'Always 1; the labels say what runs.',
      labelNames: ['process', 'version', 'node'],
      read: () => [[[processName, readVersion(), process.version], 1]],
    });
    this.gauge({
      name: 'tollgate_draining',
      help: '1 once the process is being stopped.',
      read: () => Number(health.isDraining),
    });
    const readReady = (): Promise<number> => this.readReady(health);
    new Gauge({
      name: 'tollgate_ready',
      help: '1 while the process can work: what /health/ready says, at most 5 s old.',
      registers: [this.registry],
      async collect() {
        this.set(await readReady());
      },
    });
  }

  counter(options: FamilyOptions): CounterFamily {
    return this.register(new CounterFamily(options), options.name);
  }

  /** A histogram with upper bounds in the unit of its name. */
  histogram(options: FamilyOptions & { readonly bounds: readonly number[] }): HistogramFamily {
    const { bounds, ...family } = options;
    return this.register(new HistogramFamily(family, bounds), options.name);
  }

  gauge({ name, help, labelNames = [], read }: GaugeOptions): void {
    new Gauge({
      name,
      help,
      labelNames: [...labelNames],
      registers: [this.registry],
      collect() {
        this.reset();
        const values = read();
        if (values === null) this.remove();
        else if (typeof values === 'number') this.set(values);
        else for (const [labelValues, value] of values) this.labels(...labelValues).set(value);
      },
    });
  }

  /** Shows how much of a pool is in use, and who waits for it. */
  watchPool(pool: CountedPool): void {
    this.gauge({
      name: 'tollgate_database_connections',
      help: 'Connections of the process to Postgres, without those of the queue.',
      labelNames: ['state'],
      read: () => [
        [['busy'], pool.totalCount - pool.idleCount],
        [['idle'], pool.idleCount],
      ],
    });
    this.gauge({
      name: 'tollgate_database_waiting',
      help: 'Queries that wait for a connection to Postgres.',
      read: () => pool.waitingCount,
    });
  }

  /** Everything in Prometheus' text format. */
  render(): Promise<string> {
    return this.registry.metrics();
  }

  /** The names of all metrics, sorted. */
  names(): string[] {
    return this.registry
      .getMetricsAsArray()
      .map(({ name }) => name)
      .sort();
  }

  private register<Family extends CounterFamily | HistogramFamily>(family: Family, name: string): Family {
    // The registry asks a metric only for its name and what `get` answers, which its type does not say.
    this.registry.registerMetric(Object.assign(family, { name }) as unknown as Metric);
    return family;
  }

  /** The checks ask Postgres: scrapes, however many, ask it once in five seconds. */
  private async readReady(health: Health): Promise<number> {
    const nowMs = performance.now();
    if (nowMs - this.ready.readAtMs > READY_AGE_MAX_MS) {
      this.ready.readAtMs = nowMs;
      this.ready.value = Number(Object.keys(await health.missing()).length === 0);
    }
    return health.isDraining ? 0 : this.ready.value;
  }
}

function readVersion(): string {
  return z.object({ version: z.string() }).parse(JSON.parse(readFileSync(PACKAGE_FILE, 'utf8'))).version;
}
