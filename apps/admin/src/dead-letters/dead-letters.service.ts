import assert from 'node:assert/strict';
import { Injectable } from '@nestjs/common';
import {
  CostCheck,
  correctDeadLetter,
  discardDeadLetter,
  replayDeadLetter,
  type ReplayResult,
  type Row,
  type Sql,
} from '@tollgate/ledger';
import { formatAmount } from '@tollgate/pricing';
import type { EntityManager } from 'typeorm';
import { AuditedChanges } from '../audit/audited-changes.js';
import type { Actor } from '../auth/operator.js';
import { Problem, notFound } from '../http/problem.js';
import { DeadLetterReads, readDeadLetter } from './dead-letter-reads.js';
import type {
  CorrectDeadLetter,
  DeadLetterView,
  ReplayAnswer,
  ReplayDeadLetters,
  ReplaysAnswer,
} from './dead-letter.schema.js';

interface Replayed {
  readonly result: ReplayResult;
  readonly deadLetter: DeadLetterView;
}

@Injectable()
export class DeadLettersService {
  private readonly costs = new CostCheck();

  constructor(
    private readonly changes: AuditedChanges,
    private readonly reads: DeadLetterReads,
  ) {}

  /**
   * Settles a dead letter now. One that is settled already answers how that ended and moves nothing.
   * @throws Problem 404; 409 for one that was discarded.
   */
  async replay(actor: Actor, id: string): Promise<ReplayAnswer> {
    return replayAnswer(await this.settleAgain(actor, id));
  }

  /**
   * Settles a dead letter with other usage than its event has. One that is settled already answers how that ended and moves nothing.
   * @throws Problem 404; 409 for one that was discarded.
   */
  async correct(actor: Actor, id: string, asked: CorrectDeadLetter): Promise<ReplayAnswer> {
    return replayAnswer(await this.settleAgain(actor, id, asked));
  }

  /** Replays open dead letters that match, oldest first, each in a transaction of its own: what fails stops no other. */
  async replayAll(actor: Actor, { limit, cursor, ...filters }: ReplayDeadLetters): Promise<ReplaysAnswer> {
    // One more than asked tells whether there are more.
    const ids = await this.reads.listOpenIds(filters, { after: cursor, limit: limit + 1 });
    const taken = ids.slice(0, limit);
    const counts = { settled: 0, known: 0, quarantined: 0 };
    let [chargedNano, absorbedNano] = [0n, 0n];
    for (const id of taken) {
      const { result } = await this.settleAgain(actor, id);
      // Somebody else may have resolved it since it was listed.
      if (result.outcome === 'discarded' || result.outcome === 'unknown') continue;
      if (result.outcome === 'quarantined') counts.quarantined += 1;
      else if (result.isNews) {
        counts[result.outcome] += 1;
        chargedNano += result.chargedNano;
        absorbedNano += result.absorbedNano;
      }
    }
    return {
      ...counts,
      charged: formatAmount(chargedNano),
      absorbed: formatAmount(absorbedNano),
      nextCursor: ids.length > limit ? (taken.at(-1) ?? null) : null,
    };
  }

  /**
   * Gives a dead letter up: no credits move, what its hold keeps is free again. Again it changes nothing.
   * @throws Problem 404; 409 for one that was replayed, or whose request still runs.
   */
  async discard(actor: Actor, id: string, note: string): Promise<DeadLetterView> {
    return this.changes.run(actor, async (manager) => {
      const before = await readDeadLetter(manager, id);
      const { outcome } = await discardDeadLetter(sqlOf(manager), id, note);
      if (outcome === 'unknown') throw notFound('dead letter');
      if (outcome === 'request_runs') throw stillRuns();
      const after = await readDeadLetter(manager, id);
      if (outcome === 'resolved') {
        if (after.status !== 'discarded') throw wasReplayed();
        return { answer: after, audit: [] };
      }
      return {
        answer: after,
        audit: [{ action: 'dead_letter.discard', target: targetOf(id), before, after }],
      };
    });
  }

  private settleAgain(actor: Actor, id: string, asked: CorrectDeadLetter | null = null): Promise<Replayed> {
    return this.changes.run<Replayed>(actor, async (manager) => {
      const before = await readDeadLetter(manager, id);
      const sql = sqlOf(manager);
      const result =
        asked === null
          ? await replayDeadLetter(sql, this.costs, id)
          : await correctDeadLetter(sql, this.costs, { id, correction: asked.event });
      if (result.outcome === 'unknown') throw notFound('dead letter');
      const deadLetter = await readDeadLetter(manager, id);
      const answer = { result, deadLetter };
      // A replay that failed like the one before changed nothing, but it was tried.
      const changedNothing =
        result.outcome === 'discarded' || (result.outcome !== 'quarantined' && !result.isNews);
      const entry = {
        action: asked === null ? 'dead_letter.replay' : 'dead_letter.correct',
        target: targetOf(id),
        before,
        after: { ...deadLetter, ...(asked !== null && { correction: asked.event, note: asked.note }) },
      };
      return { answer, audit: changedNothing ? [] : [entry] };
    });
  }
}

function replayAnswer({ result, deadLetter }: Replayed): ReplayAnswer {
  if (result.outcome === 'discarded') throw wasDiscarded();
  assert(result.outcome !== 'unknown', 'what is not there was refused');
  const isSettled = result.outcome !== 'quarantined';
  return {
    outcome: result.outcome,
    reason: isSettled ? null : deadLetter.reason,
    charged: formatAmount(isSettled ? result.chargedNano : 0n),
    absorbed: formatAmount(isSettled ? result.absorbedNano : 0n),
    deadLetter,
  };
}

function sqlOf(manager: EntityManager): Sql {
  return (text, params) => manager.query<Row[]>(text, params);
}

function wasDiscarded(): Problem {
  return new Problem(
    'dead_letter_resolved',
    'This dead letter was discarded: it stays so and is never charged.',
  );
}

function wasReplayed(): Problem {
  return new Problem(
    'dead_letter_resolved',
    'This dead letter was replayed and its usage is settled. Give credits back with an adjustment of the account.',
  );
}

function stillRuns(): Problem {
  return new Problem(
    'request_running',
    'The hold of this request is still open. It closes when the request ends, or expires within two minutes: try again then.',
  );
}

function targetOf(id: string): string {
  return `dead_letter/${id}`;
}
