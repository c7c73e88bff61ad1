import { DatabaseError } from 'pg';
import { QueryFailedError } from 'typeorm';
import { isServerTrouble, sqlstateOf } from './sqlstate.js';

const refused = Object.assign(new DatabaseError('no', 0, 'error'), { code: '23514' });

describe('sqlstateOf', () => {
  it('reads the code of the driver, also through TypeORM', () => {
    expect(sqlstateOf(refused)).toBe('23514');
    expect(sqlstateOf(new QueryFailedError('SELECT 1', [], refused))).toBe('23514');
  });

  it('knows no code where the server did not answer', () => {
    expect(sqlstateOf(Object.assign(new Error('connect'), { code: 'ECONNREFUSED' }))).toBeNull();
    expect(sqlstateOf('no error at all')).toBeNull();
  });
});

describe('isServerTrouble', () => {
  it.each([
    null,
    '08006',
    '40P01',
    '53300',
    '55P03',
    '57P01',
    '25006',
    '28P01',
    '3D000',
    '42501',
    '42883',
    '58030',
  ])('blames the server for %s', (sqlstate) => expect(isServerTrouble(sqlstate)).toBe(true));

  it.each(['22003', '22P02', '22P05', '23502', '23514', '54000', 'P0001', 'XX000'])(
    'blames what was sent for %s',
    (sqlstate) => expect(isServerTrouble(sqlstate)).toBe(false),
  );
});
