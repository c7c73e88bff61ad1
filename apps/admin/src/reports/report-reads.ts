import { Inject, Injectable, type OnApplicationShutdown } from '@nestjs/common';
import { createPool, readSnapshot } from '@tollgate/persistence';
import type { Pool, PoolClient } from 'pg';
import { ADMIN_CONFIG, type AdminConfig } from '../admin.config.js';

/** Reports read much: the connections of everything else are not theirs to take. */
const REPORTS_MAX = 2;
/** The server gives a statement up first; this is for a server that says nothing any more. */
const SILENCE_MS = 5_000;

/** Connections for reports, each of which sees one moment. */
@Injectable()
export class ReportReads implements OnApplicationShutdown {
  private readonly pool: Pool;

  constructor(@Inject(ADMIN_CONFIG) private readonly config: AdminConfig) {
    this.pool = createPool({
      url: config.DATABASE_URL,
      max: REPORTS_MAX,
      name: 'admin-reports',
      queryTimeoutMs: config.STATEMENT_TIMEOUT_MS + SILENCE_MS,
    });
  }

  /** Runs the reads of one report. @throws the driver's error, also where other reports take too long to end. */
  snapshot<T>(read: (connection: PoolClient) => Promise<T>): Promise<T> {
    return readSnapshot(this.pool, { statementTimeoutMs: this.config.STATEMENT_TIMEOUT_MS }, read);
  }

  async onApplicationShutdown(): Promise<void> {
    await this.pool.end();
  }
}
