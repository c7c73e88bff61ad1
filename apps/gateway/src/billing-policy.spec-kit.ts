import { CostCheck, pocketKeys, settleUsage, type Row, type Settlement, type Sql } from '@tollgate/ledger';
import { USAGE_JOB_EVENTS_MAX, parseUsageJob, type UsageEvent } from '@tollgate/contracts';
import { eventually, startRedis, type SeededInstallation, type TestRedis } from '@tollgate/testing';
import { Redis } from 'ioredis';
import { GatewayBench } from './gateway.spec-kit.js';

/** Where the holds of a gateway are. */
export type StoreName = 'Postgres' | 'Redis';

/** What a request ended in, by its usage event, its settlement and its account. Amounts in nano-credits. */
export interface Ending {
  readonly event: UsageEvent;
  readonly settlement: Settlement;
  /** What the account paid in all. */
  readonly paidNano: bigint;
}

/** A gateway on one of the stores, and billing as far as a price list needs it: the queue's events are settled one by one. */
export class PolicyBench {
  readonly gateway = new GatewayBench();
  private readonly costs = new CostCheck();
  private redis: TestRedis | null = null;
  private client: Redis | null = null;

  constructor(private readonly storeName: StoreName) {}

  async start(): Promise<void> {
    if (this.storeName === 'Postgres') return this.gateway.start();
    this.redis = await startRedis();
    this.client = new Redis(this.redis.url);
    await this.gateway.start({ REDIS_URL: this.redis.url, HOLD_STORE: 'redis' });
  }

  async stop(): Promise<void> {
    await this.gateway.stop();
    this.client?.disconnect();
    await this.redis?.remove();
  }

  /** The usage event of a request, as soon as the queue has it. */
  async eventOf(response: Response): Promise<UsageEvent> {
    const id = response.headers.get('x-request-id')?.replace('req_', '') ?? '';
    return this.findEvent(({ requestId }) => requestId.replaceAll('-', '') === id);
  }

  /** The usage event of an account's only request, as soon as the queue has it. */
  async eventOfPayer({ accountId }: SeededInstallation): Promise<UsageEvent> {
    return this.findEvent((event) => event.accountId === accountId);
  }

  /** Settles an event twice, as a queue may deliver it, and looks what the account has paid and still has set aside. */
  async settle(event: UsageEvent): Promise<Ending> {
    const [settlement] = await settleUsage(this.sql, this.costs, [event]);
    const [again] = await settleUsage(this.sql, this.costs, [event]);
    if (settlement === undefined) throw new Error('an event has a settlement');
    expect([settlement.outcome, again?.outcome]).toEqual(['settled', 'known']);
    await this.expectNothingHeld(event.accountId);
    const [row] = await this.sql(
      `SELECT COALESCE(sum(CASE WHEN credit_id = account_id THEN -amount ELSE amount END), 0)::text AS paid
         FROM tollgate.transfer WHERE account_id = $1 AND kind NOT IN ('top_up', 'grant')`,
      [event.accountId],
    );
    return { event, settlement, paidNano: BigInt(String(row?.['paid'])) };
  }

  /** Settles all that an account has asked for so far, in batches as the queue has them; answers how many requests that were. */
  async settleAll(
    { accountId }: Pick<UsageEvent, 'accountId'>,
    except: UsageEvent | null = null,
  ): Promise<number> {
    const queued = (await this.queued()).filter(
      (event) => event.accountId === accountId && event.requestId !== except?.requestId,
    );
    for (let start = 0; start < queued.length; start += USAGE_JOB_EVENTS_MAX) {
      await settleUsage(this.sql, this.costs, queued.slice(start, start + USAGE_JOB_EVENTS_MAX));
    }
    return new Set(queued.map(({ requestId }) => requestId)).size;
  }

  /** The records and transfers of usage that an account has. */
  async usageRows({ accountId }: SeededInstallation): Promise<number> {
    const [row] = await this.sql(
      `SELECT (SELECT count(*) FROM tollgate.usage_record WHERE account_id = $1)::int
            + (SELECT count(*) FROM tollgate.transfer WHERE account_id = $1 AND kind = 'usage')::int AS n`,
      [accountId],
    );
    return Number(row?.['n']);
  }

  /** What the books say against themselves. */
  violations(): Promise<unknown[]> {
    return this.sql('SELECT * FROM tollgate.ledger_violation');
  }

  /** No request of the account holds anything: what is set aside is the free rest of its escrow. */
  async expectNothingHeld(accountId: string): Promise<void> {
    await eventually(async () => {
      const [row] = await this.sql(
        `SELECT a.held - COALESCE(sum(r.granted - r.used - r.released), 0) AS held
           FROM tollgate.account a LEFT JOIN tollgate.reservation r ON r.account_id = a.id AND r.kind = 'escrow' AND r.state <> 'closed'
          WHERE a.id = $1 GROUP BY a.id`,
        [accountId],
      );
      expect(String(row?.['held'])).toBe('0');
      if (this.client === null) return;
      const keys = pocketKeys(accountId);
      expect((await this.client.hget(keys.pocket, 'held')) ?? '0').toBe('0');
      expect(await this.client.hlen(keys.holds)).toBe(0);
    });
  }

  private readonly sql: Sql = async (text, params) =>
    (await this.gateway.owner.query<Row>(text, params)).rows;

  private findEvent(matches: (event: UsageEvent) => boolean): Promise<UsageEvent> {
    return eventually(async () => {
      const found = (await this.queued()).find(matches);
      if (found === undefined) throw new Error('the usage event did not reach the queue');
      return found;
    });
  }

  private async queued(): Promise<UsageEvent[]> {
    const jobs = this.client === null ? await this.jobsInPostgres() : await this.jobsInRedis(this.client);
    return jobs.flatMap((job) => parseUsageJob(job).events);
  }

  private async jobsInPostgres(): Promise<unknown[]> {
    const { rows } = await this.gateway.owner.query<{ data: unknown }>('SELECT data FROM bullmq.job');
    return rows.map(({ data }) => (typeof data === 'string' ? (JSON.parse(data) as unknown) : data));
  }

  private async jobsInRedis(client: Redis): Promise<unknown[]> {
    const keys = await client.keys('bull:*:u-*');
    const texts = await Promise.all(keys.map((key) => client.hget(key, 'data')));
    return texts.flatMap((text) => (text === null ? [] : [JSON.parse(text) as unknown]));
  }
}
