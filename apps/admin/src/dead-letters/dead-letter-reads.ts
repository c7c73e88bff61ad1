import { Injectable } from '@nestjs/common';
import { requestIdToWire } from '@tollgate/contracts';
import { QuarantineEntity } from '@tollgate/persistence';
import { formatAmount } from '@tollgate/pricing';
import { DataSource, type EntityManager, type SelectQueryBuilder } from 'typeorm';
import { z } from 'zod';
import { PageReader, type Page } from '../http/page.js';
import { notFound } from '../http/problem.js';
import { describeReason } from './dead-letter-reasons.js';
import type {
  DeadLetterFilters,
  DeadLetterView,
  ListDeadLetters,
  ReadDeadLetterView,
} from './dead-letter.schema.js';

const DECISIONS = 'tollgate.dead_letter_decision AS decision WHERE decision.dead_letter_id = letter.id';
/** The decision that ended it; amounts as text, because JSON's numbers are not exact. */
const RESOLUTION_SQL = `(SELECT jsonb_build_object('outcome', decision.outcome, 'charged', decision.charged::text,
    'absorbed', decision.absorbed::text, 'freed', decision.freed::text, 'note', decision.note, 'at', decision.created_at)
  FROM ${DECISIONS} AND decision.outcome <> 'quarantined')`;
const REASON_SQL = `COALESCE((SELECT decision.reason FROM ${DECISIONS} AND decision.reason IS NOT NULL
  ORDER BY decision.id DESC LIMIT 1), letter.reason)`;
const OPEN_SQL = `NOT EXISTS (SELECT FROM ${DECISIONS} AND decision.outcome <> 'quarantined')`;
const STATUS_SQL: Readonly<Record<DeadLetterView['status'], string>> = {
  open: OPEN_SQL,
  replayed: `EXISTS (SELECT FROM ${DECISIONS} AND decision.outcome IN ('settled', 'known'))`,
  discarded: `EXISTS (SELECT FROM ${DECISIONS} AND decision.outcome = 'discarded')`,
};
/** An event may say anything, in capitals too. */
const ACCOUNT_SQL = `lower(letter.body ->> 'accountId')`;

/** Stands for the request of an event that names none. */
const NO_REQUEST = '00000000-0000-0000-0000-000000000000';

const rawLetterSchema = z.object({
  current_reason: z.string(),
  named_account: z.string().nullable(),
  resolution: z
    .object({
      outcome: z.enum(['settled', 'known', 'discarded']),
      charged: z.string(),
      absorbed: z.string(),
      freed: z.string(),
      note: z.string().nullable(),
      at: z.string(),
    })
    .nullable(),
});

@Injectable()
export class DeadLetterReads {
  constructor(
    private readonly dataSource: DataSource,
    private readonly pages: PageReader,
  ) {}

  async list({ limit, cursor, ...filters }: ListDeadLetters): Promise<Page<DeadLetterView>> {
    return this.pages.read(
      { limit, cursor },
      {
        name: 'dead-letters',
        query: filteredQuery(this.dataSource.manager, filters),
        newestFirst: ['letter.id'],
        after: 'letter.id < :position',
        positionOf: (letter) => letter.id,
        toItem: deadLetterView,
      },
    );
  }

  async read(id: string): Promise<ReadDeadLetterView> {
    const { letter, view } = await findDeadLetter(this.dataSource.manager, id);
    return { ...view, event: letter.body };
  }

  /** The ids of open dead letters that match, oldest first. */
  async listOpenIds(
    filters: Omit<DeadLetterFilters, 'status'>,
    page: { readonly after: string | undefined; readonly limit: number },
  ): Promise<string[]> {
    const query = filteredQuery(this.dataSource.manager, { ...filters, status: 'open' });
    if (page.after !== undefined) query.andWhere('letter.id > :after', { after: page.after });
    const letters = await query.orderBy('letter.id', 'ASC').limit(page.limit).getMany();
    return letters.map(({ id }) => id);
  }
}

/** One dead letter as answers show it. @throws Problem 404 */
export async function readDeadLetter(manager: EntityManager, id: string): Promise<DeadLetterView> {
  return (await findDeadLetter(manager, id)).view;
}

async function findDeadLetter(
  manager: EntityManager,
  id: string,
): Promise<{ letter: QuarantineEntity; view: DeadLetterView }> {
  const { entities, raw } = await lettersQuery(manager)
    .where('letter.id = :id', { id })
    .getRawAndEntities<unknown>();
  const [letter] = entities;
  if (letter === undefined) throw notFound('dead letter');
  return { letter, view: deadLetterView(letter, raw[0]) };
}

function filteredQuery(
  manager: EntityManager,
  { status, reason, accountId, from, to }: DeadLetterFilters,
): SelectQueryBuilder<QuarantineEntity> {
  const query = lettersQuery(manager);
  if (status !== undefined) query.andWhere(STATUS_SQL[status]);
  if (reason !== undefined) query.andWhere(`split_part(${REASON_SQL}, ': ', 1) = :reason`, { reason });
  if (accountId !== undefined) query.andWhere(`${ACCOUNT_SQL} = :accountId`, { accountId });
  if (from !== undefined) query.andWhere('letter.created_at >= :from', { from });
  if (to !== undefined) query.andWhere('letter.created_at < :to', { to });
  return query;
}

function lettersQuery(manager: EntityManager): SelectQueryBuilder<QuarantineEntity> {
  return manager
    .createQueryBuilder(QuarantineEntity, 'letter')
    .addSelect(REASON_SQL, 'current_reason')
    .addSelect(ACCOUNT_SQL, 'named_account')
    .addSelect(RESOLUTION_SQL, 'resolution');
}

function deadLetterView(letter: QuarantineEntity, raw: unknown): DeadLetterView {
  const { current_reason: stored, named_account: accountId, resolution } = rawLetterSchema.parse(raw);
  const { code, explanation, replayable } = describeReason(stored);
  return {
    id: letter.id,
    requestId: letter.requestId === NO_REQUEST ? null : requestIdToWire(letter.requestId),
    accountId,
    status: statusOf(resolution?.outcome),
    reason: code,
    explanation,
    replayable,
    createdAt: letter.createdAt.toISOString(),
    resolution:
      resolution === null
        ? null
        : {
            outcome: resolution.outcome,
            charged: formatAmount(BigInt(resolution.charged)),
            absorbed: formatAmount(BigInt(resolution.absorbed)),
            freed: formatAmount(BigInt(resolution.freed)),
            note: resolution.note,
            createdAt: new Date(resolution.at).toISOString(),
          },
  };
}

function statusOf(outcome: 'settled' | 'known' | 'discarded' | undefined): DeadLetterView['status'] {
  if (outcome === undefined) return 'open';
  return outcome === 'discarded' ? 'discarded' : 'replayed';
}
