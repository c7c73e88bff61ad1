import { setTimeout as delay } from 'node:timers/promises';
import {
  Inject,
  Injectable,
  type BeforeApplicationShutdown,
  type OnApplicationBootstrap,
} from '@nestjs/common';
import { listenForChanges, type Change, type ChangeListener } from '@tollgate/persistence';
import { faultPoint } from '@tollgate/runtime';
import type { Pool } from 'pg';
import { CallerCache } from './auth/caller-cache.js';
import { GATEWAY_CONTEXT, GATEWAY_POOL, type GatewayContext } from './gateway-context.js';
import { GATEWAY_HOLD_STORE, type GatewayHoldStore } from './gateway-holds.js';
import { GATEWAY_JOURNAL, JOURNAL_CHECK } from './gateway-journal.js';
import { CatalogHolder } from './routing/catalog-holder.js';
import { LiveHolds } from './hold/live-holds.js';
import type { JournalCheck } from './journal/journal-check.js';
import type { Journal } from './journal/journal.js';
import { InFlightLimit } from './limits/in-flight-limit.js';
import { UsagePublisher } from './metering/usage-publisher.js';
import { ConnectionPools } from './upstream/connection-pools.js';

const DRAIN_MS = 60_000;
/** How long requests whose upstream is gone may take to say so to their clients. */
const CUT_OFF_MS = 5_000;
/** How long after the begin of the stop Postgres may take to know every event; the process is ended 5 s later. */
const JOURNAL_DRAIN_MS = 70_000;

/** Starts and stops the gateway's parts in the order in which they need each other. */
@Injectable()
export class GatewayLife implements OnApplicationBootstrap, BeforeApplicationShutdown {
  private listener: ChangeListener | null = null;

  constructor(
    @Inject(GATEWAY_CONTEXT) private readonly context: GatewayContext,
    @Inject(GATEWAY_POOL) private readonly database: Pool,
    @Inject(CallerCache) private readonly callers: CallerCache,
    @Inject(CatalogHolder) private readonly catalog: CatalogHolder,
    @Inject(InFlightLimit) private readonly limit: InFlightLimit,
    @Inject(LiveHolds) private readonly holds: LiveHolds,
    @Inject(UsagePublisher) private readonly publisher: UsagePublisher,
    @Inject(GATEWAY_HOLD_STORE) private readonly store: GatewayHoldStore,
    @Inject(ConnectionPools) private readonly pools: ConnectionPools,
    @Inject(GATEWAY_JOURNAL) private readonly journal: Journal | null,
    @Inject(JOURNAL_CHECK) private readonly journalCheck: JournalCheck | null,
  ) {}

  async onApplicationBootstrap(): Promise<void> {
    const { config, logger } = this.context;
    this.listener = await listenForChanges({
      url: config.DATABASE_URL,
      name: 'gateway-changes',
      onChange: (change) => this.takeChange(change),
      onLost: (error) => logger.warn({ err: error }, 'lost the connection that tells of changes'),
    });
    await this.catalog.start();
    this.context.health.require('catalog', () => this.catalog.problem());
    this.context.health.require('billing', () =>
      this.publisher.hasRoom ? null : 'finished events wait for the queue',
    );
    this.startJournal();
  }

  async beforeApplicationShutdown(): Promise<void> {
    faultPoint('g.sigterm');
    const journalDeadlineMs = performance.now() + JOURNAL_DRAIN_MS;
    await this.finishRequests();
    await this.listener?.close();
    await this.publisher.flush();
    await this.stopJournal(journalDeadlineMs);
    this.catalog.stop();
    this.holds.stop();
    await this.store.shutdown();
    await this.pools.close();
    await this.database.end();
  }

  /** What processes that are no more left behind is published at once. */
  private startJournal(): void {
    const { journal, journalCheck } = this;
    if (journal === null || journalCheck === null) return;
    this.context.health.require('journal', () =>
      journal.isWritable ? null : 'finished events cannot be written to the disk',
    );
    journalCheck.run().catch((error: unknown) => {
      this.context.logger.warn({ err: error }, 'the journal could not be checked');
    });
  }

  private async stopJournal(deadlineMs: number): Promise<void> {
    const { journal, journalCheck } = this;
    if (journal === null || journalCheck === null) return;
    await journalCheck.stop();
    if (!(await journalCheck.drain(deadlineMs))) {
      const events = journal.book.unknownEvents;
      this.context.logger.error({ events }, 'events stay in the journal: another gateway has to adopt it');
    }
    await journal.close();
  }

  /** Lets running requests end by themselves for a minute, then ends them from the upstream's side. */
  private async finishRequests(): Promise<void> {
    const idle = this.limit.close();
    const late = new AbortController();
    const finished = await Promise.race([
      idle.then(() => true),
      delay(DRAIN_MS, false, { signal: late.signal }).catch(() => true),
    ]);
    late.abort();
    if (finished) return;
    await this.pools.close();
    await Promise.race([idle, delay(CUT_OFF_MS)]);
  }

  /**
   * Callers are looked up again when keys or accounts changed, the catalog is read again when anything else did. Of balances only
   * what comes in is told.
   */
  private takeChange({ table }: Change): void {
    if (table === 'balance') {
      this.store.forgetEmpty();
      return;
    }
    const isCallers = table === 'api_key' || table === 'account';
    if (isCallers || table === null) {
      this.callers.clear();
      this.store.forgetEmpty();
    }
    if (!isCallers) void this.catalog.refresh();
  }
}
