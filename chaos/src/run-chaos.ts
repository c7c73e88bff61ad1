import { setTimeout as delay } from 'node:timers/promises';
import type { RunArguments } from './arguments.js';
import { judgeRun, type Judgement } from './books/judge-run.js';
import { readLedgerBooks } from './books/ledger-books.js';
import { PocketWitness } from './books/pocket-witness.js';
import { openAccounts, untilSold, type ChaosAccount } from './clients/accounts.js';
import { closeClients } from './clients/client-call.js';
import { Traffic, USUAL_MEANS } from './clients/traffic.js';
import { FaultSchedule, type StruckFault } from './faults/fault-schedule.js';
import { NamedPoints } from './faults/named-points.js';
import { judgeOutage, strikePostgresOutage } from './faults/postgres-outage.js';
import { MoneyOperations } from './operations/money-operations.js';
import { Operator } from './operations/operator.js';
import { heal, leftInRedis, untilQuiet } from './quiesce.js';
import type { RunReport } from './report/run-report.js';
import { SABOTAGES, type Sabotage } from './sabotage/sabotages.js';
import { SeededChoice } from './seeded-choice.js';
import { run } from './world/database.js';
import { readJournals, type LostJournal } from './world/journal-files.js';
import { World } from './world/world.js';

const LONG_STREAMS = 0.08;
/** What part of the starting processes is told to die at a named point. */
const ARMED = 0.7;
const QUIET_MAX_MS = 120_000;
const OPERATIONS_PATIENCE_MS = 15_000;
/** The longest that a gateway sells at an old price here: it hears of a new one at once, or when it is asked after a partition. */
const PRICE_DELAY_MS = 30_000;
const PROGRESS_MS = 10_000;
const HOLD_LIFE_MS = 90_000;
const FENCE_MS = 60_000;
/** Faults after which Redis lacks what it knew. */
const FORGETTING = ['Redis rolled back', 'Redis flushed'];

/** Those who act in a run. */
interface Cast {
  readonly accounts: readonly ChaosAccount[];
  readonly traffic: Traffic;
  readonly operations: MoneyOperations;
  readonly schedule: FaultSchedule;
  readonly pockets: PocketWitness;
}

/** One run, from nothing to the judgement. */
export class ChaosRun {
  private readonly choice: SeededChoice;
  private readonly points: NamedPoints;
  private readonly sabotage: Sabotage | null;
  private readonly lostJournals: LostJournal[] = [];
  private readonly crashes: string[] = [];
  private outage: StruckFault | null = null;
  private isOver = false;

  constructor(
    private readonly args: RunArguments,
    private readonly report: (line: string) => void,
  ) {
    this.choice = new SeededChoice(args.seed);
    this.points = new NamedPoints(this.choice.of('points'), ARMED, () => args.scenario === null);
    this.sabotage = args.sabotage === null ? null : (SABOTAGES[args.sabotage] ?? null);
  }

  async run(): Promise<RunReport> {
    const { args, sabotage } = this;
    const world = await World.start({
      timeScale: args.timeScale,
      patches: sabotage?.patches ?? [],
      nextFault: (app) => this.points.next(app),
      onEnd: (name, life) => {
        const point = this.points.noteEnd(life);
        const isExpected = point !== null || life.isEndWanted || this.isOver || life.readyAtMs === null;
        if (!isExpected) this.crashes.push(`${name} ended with ${String(life.end)}`);
      },
    });
    try {
      this.report('servers are up');
      if (sabotage !== null) await run(world.postgres.ownerUrl(), (client) => sabotage.spoil(client));
      await world.startApps();
      this.report('processes are up');
      const operator = new Operator(world.admin.origin, world.operatorToken);
      const accounts = await openAccounts(operator, world.witness.baseUrl);
      for (const { origin } of world.gateways) await untilSold(origin, accounts[0]?.apiKey ?? '');
      const cast = this.cast(world, { operator, accounts });
      this.report(`${accounts.length} accounts, trouble begins`);
      return await this.play(world, cast);
    } finally {
      this.isOver = true;
      closeClients();
      await world.stop(args.keep);
    }
  }

  private cast(world: World, who: { operator: Operator; accounts: readonly ChaosAccount[] }): Cast {
    const { args, choice, sabotage } = this;
    const { operator, accounts } = who;
    const faultChoice = choice.of('faults');
    return {
      accounts,
      traffic: new Traffic({
        accounts,
        gateways: world.gateways.map(({ name, origin }) => ({ name, origin })),
        requestsPerSecond: args.requestsPerSecond,
        choice: choice.of('traffic'),
        longStreams: sabotage?.longStreams ?? LONG_STREAMS,
        means: sabotage?.means ?? USUAL_MEANS,
      }),
      operations: new MoneyOperations(operator, accounts, choice.of('operations')),
      schedule: new FaultSchedule({
        setting: {
          world,
          choice: faultChoice,
          timeScale: args.timeScale,
          onJournalLost: (lost) => this.lostJournals.push(lost),
        },
        choice: faultChoice,
        perSecond: args.scenario === null ? (sabotage?.faultsPerSecond ?? args.faultsPerSecond) : 0,
        kinds: sabotage?.kinds ?? args.kinds,
      }),
      pockets: new PocketWitness(world.redis),
    };
  }

  private async play(world: World, cast: Cast): Promise<RunReport> {
    const { args, points } = this;
    const { traffic, operations, schedule, pockets } = cast;
    pockets.start();
    traffic.start();
    operations.start();
    schedule.start();
    if (args.scenario === 'postgres-outage') {
      this.outage = await strikePostgresOutage(world, args.seconds * 1_000);
      await delay(PROGRESS_MS);
    } else await this.watch(traffic, schedule);
    const stoppedAtMs = Date.now();
    await schedule.stop();
    points.stop();
    await Promise.all([heal(world), traffic.stop(), operations.stop(OPERATIONS_PATIENCE_MS)]);
    this.report(`clients stopped, ${traffic.sent.length} requests sent`);
    const unrest = await untilQuiet(world, QUIET_MAX_MS, this.report);
    await pockets.stop();
    const quietAfterMs = Date.now() - stoppedAtMs;
    const apps = [...world.gateways, ...world.workers, world.admin];
    return {
      seed: args.seed,
      seconds: args.seconds,
      timeScale: args.timeScale,
      sabotage: args.sabotage,
      scenario: args.scenario,
      quietAfterMs,
      faults: this.outage === null ? schedule.struck : [this.outage],
      points: points.struck,
      faultFailures: schedule.failures,
      operations: operations.counts,
      starts: Object.fromEntries(apps.map(({ name, lives }) => [name, lives.length])),
      unrest,
      judgement: await this.judge(world, cast),
    };
  }

  private async watch(traffic: Traffic, schedule: FaultSchedule): Promise<void> {
    const endAtMs = Date.now() + this.args.seconds * 1_000;
    while (Date.now() < endAtMs) {
      await delay(Math.min(PROGRESS_MS, Math.max(0, endAtMs - Date.now())));
      const deaths = [...this.points.struck.values()].reduce((sum, count) => sum + count, 0);
      this.report(
        `${traffic.sent.length} requests, ${traffic.inFlight} in flight, ${schedule.struck.length + deaths} faults`,
      );
    }
  }

  private async judge(
    world: World,
    { traffic, accounts, operations, schedule, pockets }: Cast,
  ): Promise<Judgement> {
    const judgement = judgeRun({
      traces: {
        books: await run(world.postgres.ownerUrl(), readLedgerBooks),
        sent: traffic.sent,
        delivered: await world.witness.delivered(`${world.folder}/delivered.jsonl`),
        journal: readJournals(world.journals),
        lostJournals: this.lostJournals,
        forgotten: schedule.struck.filter(({ kind }) => FORGETTING.includes(kind)),
        holdLifeMs: HOLD_LIFE_MS * this.args.timeScale,
        lives: new Map(world.gateways.map(({ name, lives }) => [name, lives])),
        freezes: new Map(world.gateways.map(({ name, freezes }) => [name, freezes])),
      },
      accounts,
      operations: operations.operations,
      leftInRedis: await leftInRedis(world),
      crashes: this.crashes,
      witnessed: pockets.violations,
      // Who had not heard of a price when Postgres went cannot hear of it before it is back.
      priceDelayMs: PRICE_DELAY_MS + (this.outage === null ? 0 : this.outage.toMs - this.outage.fromMs),
      fenceMs: FENCE_MS * this.args.timeScale,
    });
    if (this.outage === null) return judgement;
    const violations = [...judgement.violations, ...judgeOutage(judgement.cases, this.outage)];
    return { ...judgement, violations };
  }
}
