import type { EntityManager } from 'typeorm';
import type { Actor } from '../auth/operator.js';
import type { Precondition, Tagged } from '../http/etag.js';
import type { AuditedChanges } from './audited-changes.js';

/** One item that an operator changes. */
export interface ItemChange<Item extends object> {
  readonly action: string;
  /** The kind and id of the item, as the audit log has it. */
  readonly target: string;
  readonly precondition: Precondition;
  readonly read: (manager: EntityManager) => Promise<Tagged<Item>>;
}

export interface ItemEdit<Item extends object> extends ItemChange<Item> {
  /** Locks the item's row until the transaction ends. @throws Problem 404 */
  readonly lock: (manager: EntityManager) => Promise<unknown>;
  /** Answers what the audit log says beside the item: that a secret was replaced, which no answer shows. */
  readonly write: (manager: EntityManager, before: Item) => Promise<object | void>;
}

export interface ItemDeletion<Item extends object> extends ItemChange<Item> {
  /** The same; false where the item was deleted before. */
  readonly lock: (manager: EntityManager) => Promise<boolean>;
  readonly write: (manager: EntityManager) => Promise<void>;
}

/**
 * Changes one item in a transaction: lock, read, compare with `If-Match`, write, read again. Whoever comes second waits for
 * the lock and then sees what the first one made of the item.
 * @throws Problem 404, 412, and what `write` throws.
 */
export async function editItem<Item extends object>(
  changes: AuditedChanges,
  actor: Actor,
  edit: ItemEdit<Item>,
): Promise<Tagged<Item>> {
  return changes.run(actor, async (manager) => {
    await edit.lock(manager);
    const before = await edit.read(manager);
    edit.precondition.require(before);
    const beside = await edit.write(manager, before.item);
    const after = await edit.read(manager);
    const { action, target } = edit;
    const audit = { action, target, before: before.item, after: { ...after.item, ...beside } };
    return { answer: after, audit: [audit] };
  });
}

/**
 * Deletes one item in the same way. What is gone already stays gone: that changes nothing, writes no audit row, and asks
 * for no precondition, so that a DELETE whose answer got lost can be sent again.
 * @throws Problem 404, 412, and what `write` throws.
 */
export async function deleteItem<Item extends object>(
  changes: AuditedChanges,
  actor: Actor,
  deletion: ItemDeletion<Item>,
): Promise<void> {
  await changes.run(actor, async (manager) => {
    if (!(await deletion.lock(manager))) return { answer: undefined, audit: [] };
    const before = await deletion.read(manager);
    deletion.precondition.require(before);
    await deletion.write(manager);
    const { action, target } = deletion;
    return { answer: undefined, audit: [{ action, target, before: before.item, after: null }] };
  });
}
