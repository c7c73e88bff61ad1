import {
  Inject,
  Injectable,
  type BeforeApplicationShutdown,
  type OnApplicationBootstrap,
} from '@nestjs/common';
import {
  openEscrows,
  pocketsWithoutEscrow,
  poolSql,
  returnEscrows,
  shutEscrow,
  type Sql,
  type SurveyedPocket,
} from '@tollgate/ledger';
import { repeatTask, scaledMs } from '@tollgate/runtime';
import type { Pool } from 'pg';
import { BILLING_CONTEXT, BILLING_POOL, type BillingContext } from '../billing-context.js';
import { POCKETS, type PocketAccess, type Pockets } from '../sweeping/pockets.js';

const INTERVAL_MS = scaledMs(10_000);
const ESCROWS_MAX = 1_000;
/** Slices of pockets and of escrows that one run looks at: neither Redis nor Postgres is kept from others for long. */
const SLICES_MAX = 20;
const BEGINNING = '00000000-0000-0000-0000-000000000000';

/**
 * Finds where Redis and Postgres do not agree about what is set aside, slice by slice. A pocket whose escrow has ended is shut; an
 * escrow whose pocket is gone starts its way back. What a pocket spent after its escrow had ended was nobody's to give: it is drawn
 * on what the account has, or absorbed.
 *
 * Several processes may do this: a pocket is shut once, and an escrow closes once.
 */
@Injectable()
export class DriftedPockets implements OnApplicationBootstrap, BeforeApplicationShutdown {
  private task: ReturnType<typeof repeatTask> | null = null;
  private cursor = '0';
  private afterAccountId = BEGINNING;

  constructor(
    @Inject(BILLING_POOL) private readonly pool: Pool,
    @Inject(BILLING_CONTEXT) private readonly context: BillingContext,
    @Inject(POCKETS) private readonly access: PocketAccess,
  ) {}

  onApplicationBootstrap(): void {
    const { pockets } = this.access;
    if (pockets === null) return;
    const sql = poolSql(this.pool);
    this.task = repeatTask({
      intervalMs: INTERVAL_MS,
      run: async () => {
        await this.endPockets(sql, pockets);
        await this.returnEscrows(sql, pockets);
      },
      onError: (error) => this.context.logger.warn({ err: error }, 'could not compare pockets with escrows'),
    });
  }

  async beforeApplicationShutdown(): Promise<void> {
    await this.task?.stop();
  }

  private async endPockets(sql: Sql, pockets: Pockets): Promise<void> {
    for (let slice = 0; slice < SLICES_MAX; slice += 1) {
      const survey = await pockets.survey(this.cursor);
      this.cursor = survey.cursor;
      for (const pocket of await pocketsWithoutEscrow(sql, survey.pockets)) {
        await this.endPocket(sql, pockets, pocket);
      }
      if (this.cursor === '0') return;
    }
  }

  private async endPocket(
    sql: Sql,
    pockets: Pockets,
    { accountId, escrowId }: SurveyedPocket,
  ): Promise<void> {
    const rest = await pockets.shut(accountId, escrowId);
    const freed = await shutEscrow(sql, escrowId, rest);
    this.context.metrics.drifts.with('pocket_without_escrow').add(1);
    const [spentNano, heldNano] = [rest?.spentNano.toString(), rest?.heldNano.toString()];
    this.context.logger.error(
      { accountId, escrowId, spentNano, heldNano, isKnown: freed !== null },
      'a pocket outlived its escrow: it is shut',
    );
  }

  private async returnEscrows(sql: Sql, pockets: Pockets): Promise<void> {
    for (let slice = 0; slice < SLICES_MAX; slice += 1) {
      const open = await openEscrows(sql, this.afterAccountId, ESCROWS_MAX);
      const lost = await pockets.withoutPocket(open);
      const returned = await returnEscrows(
        sql,
        lost.map(({ escrowId }) => escrowId),
      );
      this.context.metrics.drifts.with('escrow_without_pocket').add(returned.length);
      if (returned.length > 0) {
        this.context.logger.warn({ escrows: returned.length }, 'the pockets of escrows are gone: they close');
      }
      this.afterAccountId = open.at(-1)?.accountId ?? BEGINNING;
      if (open.length < ESCROWS_MAX) {
        this.afterAccountId = BEGINNING;
        return;
      }
    }
  }
}
