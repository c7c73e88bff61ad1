import { DEFAULT_SETTINGS } from '@tollgate/persistence';
import { createLogger } from '@tollgate/runtime';
import { CatalogHolder } from './catalog-holder.js';
import { Catalog } from './catalog.js';

const logger = createLogger('test', 'silent');

/** A database whose catalog has a version, and which can be away. */
class Source {
  version = 1n;
  isAway = false;
  loads = 0;
  missed = 0;

  readonly load = async (): Promise<Catalog> => {
    this.loads += 1;
    if (this.isAway) throw new Error('away');
    return new Catalog(this.version, new Map(), null, DEFAULT_SETTINGS);
  };

  readonly readVersion = async (): Promise<bigint> => {
    if (this.isAway) throw new Error('away');
    return this.version;
  };

  readonly onMissedChange = (): void => {
    this.missed += 1;
  };
}

describe('CatalogHolder', () => {
  it('has no catalog and is not ready before the first one was read', () => {
    const holder = new CatalogHolder(new Source(), logger);
    expect(() => holder.current).toThrow(expect.objectContaining({ entry: 'server_is_overloaded' }));
    expect(holder.problem()).toMatch(/no catalog/);
  });

  it('reads again where the version has changed without a notice, and says so', async () => {
    const source = new Source();
    const holder = new CatalogHolder(source, logger);
    await holder.start();
    await holder.check();
    expect([source.loads, source.missed]).toEqual([1, 0]);
    source.version = 2n;
    await holder.check();
    expect([source.loads, source.missed, holder.current.version]).toEqual([2, 1, 2n]);
    holder.stop();
  });

  it('keeps the old catalog while the database is away, and makes up for it afterwards', async () => {
    const source = new Source();
    const holder = new CatalogHolder(source, logger);
    await holder.start();
    source.isAway = true;
    source.version = 2n;
    await holder.refresh();
    expect(holder.current.version).toBe(1n);
    source.isAway = false;
    await holder.check();
    expect(holder.current.version).toBe(2n);
    holder.stop();
  });

  it('reads once more for notices that come while it reads', async () => {
    const source = new Source();
    const holder = new CatalogHolder(source, logger);
    await Promise.all([holder.reload(), holder.reload(), holder.reload()]);
    expect(source.loads).toBe(2);
    holder.stop();
  });
});
