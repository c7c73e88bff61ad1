import { createTestDatabase, type TestDatabase } from '@tollgate/testing';
import { createPool } from './pool.js';

let database: TestDatabase;

beforeAll(async () => {
  database = await createTestDatabase({ empty: true });
});

afterAll(() => database.drop());

describe('a pool', () => {
  it('survives the loss of a connection that somebody holds between two queries', async () => {
    const pool = createPool({ url: database.ownerUrl, max: 2, name: 'pool-test' });
    try {
      const held = await pool.connect();
      const { rows } = await held.query('SELECT pg_backend_pid() AS pid');
      const lost = new Promise((resolve) => held.once('end', resolve));
      await pool.query('SELECT pg_terminate_backend($1)', [rows[0].pid]);
      await lost;
      await expect(held.query('SELECT 1')).rejects.toThrow();
      held.release(true);
      expect((await pool.query('SELECT 1 AS one')).rows).toEqual([{ one: 1 }]);
    } finally {
      await pool.end();
    }
  });
});
