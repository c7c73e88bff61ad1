import type { MigrationInterface, QueryRunner } from 'typeorm';

/** A migration that is one script of SQL. All that are missing run in one transaction; there is no way back. */
export abstract class SqlMigration implements MigrationInterface {
  /** A sentence, then the time of writing in milliseconds: TypeORM orders by the last 13 digits. */
  abstract readonly name: string;
  protected abstract readonly sql: string;

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(this.sql);
  }

  async down(): Promise<void> {
    throw new Error(`${this.name} cannot be undone: migrations only go forward, restore a backup instead`);
  }
}
