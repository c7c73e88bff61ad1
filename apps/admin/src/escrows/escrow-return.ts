import { Inject, Injectable, type OnApplicationShutdown } from '@nestjs/common';
import { RedisAwayError, readStillHeld, takeBackAll, takingBack, type Sql } from '@tollgate/ledger';
import { formatAmount } from '@tollgate/pricing';
import { DataSource, type EntityManager } from 'typeorm';
import { Problem } from '../http/problem.js';
import type { AdminPockets } from './admin-pockets.js';

/** Token of the pockets in Redis; null where the process has none. */
export const ADMIN_POCKETS = Symbol('AdminPockets');

/** Frees, within the transaction that books, what was taken back. It locks the account. */
export type ReleaseTakenBack = (manager: EntityManager) => Promise<void>;

const RETRY_AFTER_S = '5';

type Attempt<Answer> = { readonly answer: Answer } | { readonly refusal: Problem };

/** Makes room for bookings that an account is too short for only because its money is set aside for Redis. */
@Injectable()
export class EscrowReturn implements OnApplicationShutdown {
  constructor(
    private readonly dataSource: DataSource,
    @Inject(ADMIN_POCKETS) private readonly pockets: AdminPockets | null,
  ) {}

  onApplicationShutdown(): void {
    this.pockets?.close();
  }

  /**
   * Runs a booking, and again with what was taken back if it was refused with `would_break_floor`. `book` is one transaction, and
   * calls `release` in it before it looks at the balance.
   * @throws Problem what `book` throws; 409 that says how much is free and how much running requests hold; 503 without Redis.
   */
  async around<Answer>(
    accountId: string,
    book: (release: ReleaseTakenBack) => Promise<Answer>,
  ): Promise<Answer> {
    const sql = sqlOf(this.dataSource.manager);
    const attempt = await this.reachable(() =>
      takingBack<Attempt<Answer>>({
        sql,
        pockets: this.pockets,
        accountId,
        book: (release) => attemptOf(book((manager) => release(sqlOf(manager)))),
        isShort: (found) => 'refusal' in found,
      }),
    );
    if ('answer' in attempt) return attempt.answer;
    const { freeNano, runningNano } = await readStillHeld(sql, accountId);
    const [free, running] = [formatAmount(freeNano), formatAmount(runningNano)];
    throw new Problem(
      'would_break_floor',
      `${attempt.refusal.message} ${free} credits are free, and running requests hold ${running}.`,
      { cause: attempt.refusal },
    );
  }

  /** Brings back what is set aside for an account that spends no more. Without Redis, billing does so later. */
  async takeBack(accountId: string): Promise<void> {
    try {
      await takeBackAll(sqlOf(this.dataSource.manager), this.pockets, accountId);
    } catch (error) {
      if (!(error instanceof RedisAwayError)) throw error;
    }
  }

  private async reachable<Answer>(work: () => Promise<Answer>): Promise<Answer> {
    try {
      return await work();
    } catch (error) {
      if (!(error instanceof RedisAwayError)) throw error;
      throw new Problem(
        'redis_unavailable',
        'Credits of this account are set aside in Redis, which does not answer. Nothing was changed; they are free again within three ' +
          'minutes after it is back.',
        { headers: { 'retry-after': RETRY_AFTER_S }, cause: error },
      );
    }
  }
}

async function attemptOf<Answer>(booking: Promise<Answer>): Promise<Attempt<Answer>> {
  try {
    return { answer: await booking };
  } catch (error) {
    if (error instanceof Problem && error.code === 'would_break_floor') return { refusal: error };
    throw error;
  }
}

/** Statements of the ledger within a transaction of TypeORM. */
function sqlOf(manager: EntityManager): Sql {
  return (text, params) => manager.query(text, params);
}
