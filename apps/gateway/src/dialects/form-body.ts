import type { JsonObject } from '@tollgate/openai';

/** Fields of a form at most: no request for text has more, and each costs work before anything is checked. */
const FIELDS_MAX = 5_000;
/** Brackets behind a name at most: `messages[0][content][0][image_url][url]` has five. */
const DEPTH_MAX = 8;

const NAME = /^([^[\]]+)((?:\[[^[\]]*\])*)$/;

/** A branch of a form while it is being read: members in the order of their first appearance. */
class Branch extends Map<string, Branch | string> {
  private free = 0;

  /** What an empty bracket stands for. Members only come, so all calls together look at each number once. */
  nextNumber(): string {
    this.free = Math.max(this.free, this.size);
    while (this.has(String(this.free))) this.free += 1;
    return String(this.free);
  }
}

/**
 * Reads a form as PHP writes and reads nested values: `messages[0][role]=user`, `stop[]=x`. Members whose names are all
 * numbers become an array in the order of the numbers. Null for what is no such form.
 */
export function readForm(text: string): JsonObject | null {
  if (!text.includes('=') || hasTooManyFields(text)) return null;
  const root = new Branch();
  for (const [name, value] of new URLSearchParams(text)) {
    const path = readPath(name);
    if (path === null || !put(root, path, value)) return null;
  }
  return toObject(root);
}

function hasTooManyFields(text: string): boolean {
  let at = text.indexOf('&');
  for (let fields = 1; at !== -1 && fields <= FIELDS_MAX; fields += 1) at = text.indexOf('&', at + 1);
  return at !== -1;
}

function readPath(name: string): string[] | null {
  const [, first, brackets = ''] = NAME.exec(name) ?? [];
  if (first === undefined) return null;
  const path = [first, ...brackets.split('[').slice(1)].map((part, at) =>
    at === 0 ? part : part.slice(0, -1),
  );
  return path.length - 1 > DEPTH_MAX ? null : path;
}

/** Puts a value where its path leads; false where a value is already in the way. */
function put(root: Branch, path: readonly string[], value: string): boolean {
  let branch = root;
  for (const [at, part] of path.entries()) {
    const name = part === '' ? branch.nextNumber() : part;
    if (at === path.length - 1) {
      branch.set(name, value);
      return true;
    }
    const next = branch.get(name) ?? new Branch();
    if (typeof next === 'string') return false;
    branch.set(name, next);
    branch = next;
  }
  return false;
}

function toObject(branch: Branch): JsonObject {
  return Object.fromEntries([...branch].map(([name, value]) => [name, toValue(value)]));
}

function toValue(value: Branch | string): unknown {
  if (typeof value === 'string') return value;
  const names = [...value.keys()];
  if (!names.every((name) => /^\d+$/.test(name))) return toObject(value);
  return [...value].sort(([a], [b]) => Number(a) - Number(b)).map(([, member]) => toValue(member));
}
