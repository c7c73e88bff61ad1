import type { Logger } from '@tollgate/runtime';
import { GatewayError } from '../relay/gateway-errors.js';
import type { Catalog } from './catalog.js';

/** What the holder reads with. */
export interface CatalogSource {
  readonly load: () => Promise<Catalog>;
  readonly readVersion: () => Promise<bigint>;
  /** Called when the version turns out to have changed without a notice: whatever is cached may be out of date. */
  readonly onMissedChange: () => void;
}

/** How often the version is compared, in case a notice got lost. */
const CHECK_INTERVAL_MS = 10_000;
/** A process that could not compare versions for so long does not know what it sells. */
const UNCHECKED_MAX_MS = 60_000;
/** The longest time that Node's timers take; a price further ahead is waited for in steps. */
const TIMER_MAX_MS = 2 ** 31 - 1;

/** Has the current catalog and puts a new one in its place when the database's version changes. */
export class CatalogHolder {
  private catalog: Catalog | null = null;
  private checkedAtMs = Number.NEGATIVE_INFINITY;
  private reloading: Promise<void> | null = null;
  private reloadAgain = false;
  /** A reading failed, so the catalog may be out of date though its version is the database's. */
  private checkAgain = false;
  private timer: NodeJS.Timeout | null = null;
  private priceTimer: NodeJS.Timeout | null = null;

  constructor(
    private readonly source: CatalogSource,
    private readonly logger: Logger,
  ) {}

  /** The catalog as it is now. @throws GatewayError `server_is_overloaded` before the first one was read. */
  get current(): Catalog {
    if (this.catalog === null) throw new GatewayError('server_is_overloaded');
    return this.catalog;
  }

  /** Reads the first catalog and begins to compare versions. */
  async start(): Promise<void> {
    await this.reload();
    this.timer = setInterval(() => void this.check(), CHECK_INTERVAL_MS);
    this.timer.unref();
  }

  stop(): void {
    if (this.timer !== null) clearInterval(this.timer);
    if (this.priceTimer !== null) clearTimeout(this.priceTimer);
  }

  /** Why the process is not ready on account of its catalog, or null. */
  problem(): string | null {
    if (this.catalog === null) return 'no catalog was read yet';
    const isStale = performance.now() - this.checkedAtMs > UNCHECKED_MAX_MS;
    return isStale ? 'the catalog could not be compared with the database for a minute' : null;
  }

  /** Reads the catalog anew. Calls that come while it is being read make it be read once more. */
  reload(): Promise<void> {
    if (this.reloading !== null) {
      this.reloadAgain = true;
      return this.reloading;
    }
    this.reloading = this.load().finally(() => {
      this.reloading = null;
    });
    return this.reloading;
  }

  private async load(): Promise<void> {
    do {
      this.reloadAgain = false;
      this.catalog = await this.source.load();
      this.checkedAtMs = performance.now();
    } while (this.reloadAgain);
    this.awaitNextPrice(this.catalog.nextPriceInMs);
  }

  /** Prices come into force by themselves: no notice tells of that moment. */
  private awaitNextPrice(inMs: number | null): void {
    if (this.priceTimer !== null) clearTimeout(this.priceTimer);
    if (inMs === null) return;
    this.priceTimer = setTimeout(() => void this.refresh(), Math.min(inMs, TIMER_MAX_MS));
    this.priceTimer.unref();
  }

  /** Reads the catalog anew; a failure is logged, the next comparison of versions tries again. */
  async refresh(): Promise<void> {
    await this.reload().catch((error: unknown) => {
      this.logger.warn({ err: error }, 'could not read the catalog');
      this.checkAgain = true;
    });
  }

  /** Reads the catalog anew if the database has another version than this process. */
  async check(): Promise<void> {
    try {
      const version = await this.source.readVersion();
      if (this.checkAgain || version !== this.catalog?.version) {
        this.source.onMissedChange();
        await this.reload();
      }
      this.checkAgain = false;
      this.checkedAtMs = performance.now();
    } catch (error) {
      this.logger.warn({ err: error }, 'could not compare the catalog with the database');
    }
  }
}
