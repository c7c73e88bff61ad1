import { describeWithRedis, startRedis, type TestRedis } from '@tollgate/testing';
import { createLogger } from './logger.js';
import { assertRedisUsable, RedisError } from './redis-check.js';

const logger = createLogger('test', 'silent');
const started: TestRedis[] = [];

afterEach(async () => {
  await Promise.all(started.splice(0).map((redis) => redis.remove()));
});

async function start(...settings: string[]): Promise<TestRedis> {
  const redis = await startRedis(settings);
  started.push(redis);
  return redis;
}

describeWithRedis('assertRedisUsable', () => {
  it('takes a Redis that keeps what it has, and warns of nothing', async () => {
    const { url } = await start('--maxmemory', '100mb');
    const warn = jest.spyOn(logger, 'warn').mockClear();
    await assertRedisUsable({ url, logger });
    expect(warn).not.toHaveBeenCalled();
  });

  it('warns of a Redis without an append-only file', async () => {
    const { url } = await start('--appendonly', 'no');
    const warn = jest.spyOn(logger, 'warn').mockClear();
    await assertRedisUsable({ url, logger });
    expect(warn).toHaveBeenCalledWith(expect.anything(), expect.stringContaining('set appendonly yes'));
  });

  it('refuses one that may evict usage events, and says what to set', async () => {
    const { url } = await start('--maxmemory-policy', 'allkeys-lru');
    const checked = assertRedisUsable({ url, logger });
    await expect(checked).rejects.toThrow(RedisError);
    await expect(checked).rejects.toThrow(/allkeys-lru\): set maxmemory-policy noeviction/);
  });

  it('refuses a wrong password at once, without showing either', async () => {
    const { url } = await start('--requirepass', 'right-password');
    const wrong = url.replace('//', '//:wrong-password@');
    const refused: unknown = await assertRedisUsable({ url: wrong, logger }).catch((error: unknown) => error);
    expect(refused).toBeInstanceOf(RedisError);
    expect(String(refused)).toMatch(/does not accept the password of REDIS_URL/);
    expect(JSON.stringify(refused, Object.getOwnPropertyNames(refused))).not.toMatch(/-password/);
    await assertRedisUsable({ url: url.replace('//', '//:right-password@'), logger });
  });

  it('waits for one that is being started, and names one that never comes by host and port alone', async () => {
    const redis = await start();
    await redis.stop();
    const waiting = assertRedisUsable({ url: redis.url, logger });
    await redis.start();
    await waiting;
    await redis.stop();
    const missing = redis.url.replace('//', '//user:secret@');
    const refused: unknown = await assertRedisUsable({ url: missing, logger, waitMs: 300 }).catch(
      (error: unknown) => error,
    );
    expect(String(refused)).toMatch(/Redis at 127\.0\.0\.1:\d+ did not answer for 0\.3 s \(.*ECONNREFUSED/);
    expect(String(refused)).not.toMatch(/secret|user/);
  });
});
