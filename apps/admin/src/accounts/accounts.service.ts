import { Injectable } from '@nestjs/common';
import { setFloor } from '@tollgate/ledger';
import { AccountEntity } from '@tollgate/persistence';
import { DataSource, type EntityManager, type ObjectLiteral, type SelectQueryBuilder } from 'typeorm';
import { v7 as uuidv7 } from 'uuid';
import { z } from 'zod';
import { AuditedChanges } from '../audit/audited-changes.js';
import { editItem } from '../audit/edited-item.js';
import type { Actor } from '../auth/operator.js';
import { EscrowReturn } from '../escrows/escrow-return.js';
import { Tagged, type Precondition } from '../http/etag.js';
import { metadataField } from '../http/fields.js';
import { mergePatch } from '../http/merge-patch.js';
import { PageReader, type Page } from '../http/page.js';
import { Problem, invalidField, notFound } from '../http/problem.js';
import { whereTextIn } from '../http/text-search.js';
import {
  formatMultiplier,
  type AccountView,
  type CreateAccount,
  type ListAccounts,
  type PatchAccount,
} from './account.schema.js';
import { balanceView } from './balance.js';

/** Credits of an account that the database set aside for a hold store: they are held, but not by a request. */
const SET_ASIDE = `(SELECT coalesce(sum(escrow.granted - escrow.used - escrow.released), 0)
  FROM tollgate.reservation AS escrow
  WHERE escrow.account_id = account.id AND escrow.kind = 'escrow' AND escrow.state <> 'closed')`;

const rawAccountSchema = z.object({ set_aside: z.string().transform(BigInt) });

@Injectable()
export class AccountsService {
  constructor(
    private readonly dataSource: DataSource,
    private readonly changes: AuditedChanges,
    private readonly pages: PageReader,
    private readonly escrows: EscrowReturn,
  ) {}

  /** Opens an account with nothing on it. @throws Problem 409 for a floor above 0, or an external id that is taken. */
  async create(actor: Actor, asked: CreateAccount): Promise<Tagged<AccountView>> {
    if (asked.floor > 0n) {
      throw new Problem(
        'would_break_floor',
        'An account opens with 0 credits: its floor cannot be above that.',
      );
    }
    const { multiplier, externalId = null, ...fields } = asked;
    const row = {
      id: uuidv7(),
      ...fields,
      externalId,
      multiplierPpm: multiplier,
    } satisfies Partial<AccountEntity>;
    return this.changes.run(actor, async (manager) => {
      await manager.insert<ObjectLiteral>(AccountEntity, row);
      const created = await readAccount(manager, row.id);
      const audit = { action: 'account.create', target: targetOf(row.id), before: null, after: created.item };
      return { answer: created, audit: [audit] };
    });
  }

  async read(id: string): Promise<Tagged<AccountView>> {
    return readAccount(this.dataSource.manager, id);
  }

  /**
   * Changes what is given. A suspended account's new requests are refused; those under way finish. What is set aside for Redis
   * comes back where the floor needs it, and where the account is suspended.
   * @throws Problem 404, 412; 409 for a floor that the balance is below, or an external id that is taken; 503 if Redis has to give
   *   credits back for the floor and does not answer.
   */
  async patch(
    actor: Actor,
    { id, precondition }: { id: string; precondition: Precondition },
    asked: PatchAccount,
  ): Promise<Tagged<AccountView>> {
    const patched = await this.escrows.around(id, (release) =>
      editItem(this.changes, actor, {
        action: 'account.update',
        target: targetOf(id),
        precondition,
        lock: async (manager) => {
          await lockAccount(manager, id);
          await release(manager);
        },
        read: (manager) => readAccount(manager, id),
        write: (manager, before) => writeAccount(manager, before, asked),
      }),
    );
    if (asked.status === 'suspended') await this.escrows.takeBack(id);
    return patched;
  }

  async list({ q, status, externalId, ...page }: ListAccounts): Promise<Page<AccountView>> {
    const query = accountsQuery(this.dataSource.manager);
    whereTextIn(query, ['account.name', 'account.external_id'], q);
    if (status !== undefined) query.andWhere('account.status = :status', { status });
    if (externalId !== undefined) query.andWhere('account.external_id = :externalId', { externalId });
    return this.pages.read(page, {
      name: 'accounts',
      query,
      newestFirst: ['account.id'],
      after: 'account.id < :position',
      positionOf: (account) => account.id,
      toItem: accountView,
    });
  }
}

/** Locks an account's row until the transaction ends, as the money functions do. @throws Problem 404 */
export async function lockAccount(manager: EntityManager, id: string): Promise<void> {
  const locked = await manager
    .createQueryBuilder(AccountEntity, 'account')
    .select('account.id')
    .where('account.id = :id', { id })
    .setLock('for_no_key_update')
    .getOne();
  if (locked === null) throw notFound('account');
}

async function writeAccount(
  manager: EntityManager,
  { id, metadata: current }: AccountView,
  asked: PatchAccount,
): Promise<void> {
  const { multiplier, metadata, floor, ...fields } = asked;
  if (floor !== undefined) await changeFloor(manager, { accountId: id, floorNano: floor });
  await manager.update<ObjectLiteral>(AccountEntity, id, {
    ...fields,
    multiplierPpm: multiplier,
    metadata: patchedMetadata(current, metadata),
  } satisfies Partial<Record<keyof AccountEntity, unknown>>);
}

/** The ledger alone writes a floor: under the account's lock it compares with the balance as it is then. */
async function changeFloor(
  manager: EntityManager,
  floor: { readonly accountId: string; readonly floorNano: bigint },
): Promise<void> {
  const outcome = await setFloor((text, params) => manager.query(text, params), floor);
  if (outcome === 'set') return;
  if (outcome === 'unknown_account') throw notFound('account');
  if (outcome === 'out_of_range') throw invalidField('/floor', 'is beyond the largest amount');
  throw new Problem(
    'would_break_floor',
    'The account has less than this floor now: posted minus held is below it. Top the account up first, or choose a lower floor.',
  );
}

async function readAccount(manager: EntityManager, id: string): Promise<Tagged<AccountView>> {
  const { entities, raw } = await accountsQuery(manager)
    .where('account.id = :id', { id })
    .getRawAndEntities<unknown>();
  const [account] = entities;
  if (account === undefined) throw notFound('account');
  return taggedAccount(accountView(account, raw[0]));
}

/** The balance moves with every request, so it is not part of the tag; the floor is an operator's, so it is. */
function taggedAccount(account: AccountView): Tagged<AccountView> {
  const { balance, ...state } = account;
  return new Tagged(account, { ...state, floor: balance.floor });
}

function accountsQuery(manager: EntityManager): SelectQueryBuilder<AccountEntity> {
  return manager.createQueryBuilder(AccountEntity, 'account').addSelect(SET_ASIDE, 'set_aside');
}

function accountView(account: AccountEntity, raw: unknown): AccountView {
  const { set_aside: setAside } = rawAccountSchema.parse(raw);
  const { id, name, externalId, status, plan, dialect, metadata, posted, held, floor } = account;
  return {
    id,
    name,
    externalId,
    status,
    plan,
    multiplier: formatMultiplier(account.multiplierPpm),
    dialect,
    metadata,
    balance: balanceView({ posted, held: held - setAside, floor }),
    createdAt: account.createdAt.toISOString(),
    updatedAt: account.updatedAt.toISOString(),
  };
}

/** Null empties the metadata; nothing leaves it as it is. */
function patchedMetadata(
  current: AccountView['metadata'],
  patch: PatchAccount['metadata'],
): AccountView['metadata'] | undefined {
  if (patch === undefined || patch === null) return patch === null ? {} : undefined;
  const merged = metadataField.safeParse(mergePatch(current, patch));
  if (merged.success) return merged.data;
  throw invalidField('/metadata', 'is too large together with what is there');
}

function targetOf(id: string): string {
  return `account/${id}`;
}
