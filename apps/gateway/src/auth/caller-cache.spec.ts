import type { ApiKeyRow } from '@tollgate/persistence';
import { MasterKey } from '@tollgate/runtime';
import { CallerCache } from './caller-cache.js';

const masterKey = MasterKey.parse(MasterKey.generate());

const row = (overrides: Partial<ApiKeyRow> = {}): ApiKeyRow => ({
  id: 'key-1',
  status: 'active',
  expiresAt: null,
  allowedModels: null,
  account: { id: 'account-1', status: 'active', plan: 'default', multiplierPpm: 1_000_000 },
  dialect: null,
  ...overrides,
});

/** A table of keys that counts how often it is asked, and answers when it is told to. */
class KeyTable {
  asked = 0;
  answer: ApiKeyRow | null = row();
  private waiting: (() => void)[] = [];

  readonly lookup = (): Promise<ApiKeyRow | null> => {
    this.asked += 1;
    return new Promise((resolve) => {
      const { answer } = this;
      this.waiting.push(() => resolve(answer));
    });
  };

  release(): void {
    for (const answer of this.waiting.splice(0)) answer();
  }
}

describe('CallerCache', () => {
  it('asks once for many requests of one key, and then not at all', async () => {
    const table = new KeyTable();
    const cache = new CallerCache(masterKey, table.lookup);
    const found = Promise.all([cache.find('sk-1'), cache.find('sk-1'), cache.find('sk-1')]);
    table.release();
    expect((await found).every(({ status }) => status === 'active')).toBe(true);
    expect((await cache.find('sk-1')).status).toBe('active');
    expect(table.asked).toBe(1);
  });

  it('does not remember what was read before it was told to forget', async () => {
    const table = new KeyTable();
    const cache = new CallerCache(masterKey, table.lookup);
    const before = cache.find('sk-1');
    cache.clear();
    table.answer = row({ status: 'revoked' });
    table.release();
    await before;
    const after = cache.find('sk-1');
    table.release();
    expect((await after).status).toBe('unknown');
  });

  it.each([
    [null, { status: 'unknown' }],
    [row({ status: 'revoked' }), { status: 'unknown' }],
    [row({ status: 'disabled' }), { status: 'deactivated' }],
    [row({ expiresAt: new Date(Date.now() - 1) }), { status: 'deactivated' }],
    [row({ account: { ...row().account, status: 'suspended' } }), { status: 'deactivated' }],
    [row({ expiresAt: new Date(Date.now() + 60_000) }), { status: 'active' }],
    [row({ allowedModels: ['a'] }), { status: 'active', caller: { allowedModels: new Set(['a']) } }],
    [row({ dialect: 'openai' }), { status: 'active', caller: { dialect: 'openai' } }],
    [row({ dialect: 'of-a-later-version' }), { status: 'active', caller: { dialect: null } }],
  ])('finds %j as %j', async (answer, expected) => {
    const cache = new CallerCache(masterKey, async () => answer);
    expect(await cache.find('sk-1')).toMatchObject(expected);
  });

  it('goes on with whom it knows while the table cannot be asked, for a quarter of an hour', async () => {
    jest.useFakeTimers();
    // The cache takes the very first millisecond of a clock for no time at all.
    jest.advanceTimersByTime(1_000);
    try {
      let asked = 0;
      const cache = new CallerCache(masterKey, async () => {
        asked += 1;
        if (asked > 1) throw new Error('connection refused');
        return row();
      });
      expect((await cache.find('sk-1')).status).toBe('active');
      jest.advanceTimersByTime(61_000);
      expect((await cache.find('sk-1')).status).toBe('active');
      expect(asked).toBe(2);
      expect((await cache.find('sk-1')).status).toBe('active');
      expect(asked).toBe(2);
      jest.advanceTimersByTime(5_001);
      expect((await cache.find('sk-1')).status).toBe('active');
      expect(asked).toBe(3);
      jest.advanceTimersByTime(15 * 60_000);
      await expect(cache.find('sk-1')).rejects.toMatchObject({ entry: 'billing_unavailable' });
    } finally {
      jest.useRealTimers();
    }
  });

  it('forgets whom it kept as soon as it hears of a change', async () => {
    let isAway = false;
    const cache = new CallerCache(masterKey, async () => {
      if (isAway) throw new Error('connection refused');
      return row();
    });
    await cache.find('sk-1');
    isAway = true;
    cache.clear();
    await expect(cache.find('sk-1')).rejects.toMatchObject({ entry: 'billing_unavailable' });
  });

  it('says that it cannot know where the table cannot be asked, and asks again the next time', async () => {
    let isAway = true;
    const cache = new CallerCache(masterKey, async () => {
      if (isAway) throw new Error('connection refused');
      return row();
    });
    await expect(cache.find('sk-1')).rejects.toMatchObject({ entry: 'billing_unavailable', status: 503 });
    isAway = false;
    expect((await cache.find('sk-1')).status).toBe('active');
  });
});
