import { cpSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import type { Redis } from 'ioredis';
import { v7 as uuidv7 } from 'uuid';
import { z } from 'zod';
import { whenReady, type RedisBench } from './redis.spec-kit.js';
import type { Turns } from './turns.spec-kit.js';

/** What may happen to a Redis; it is rolled back to what it was so many turns ago. */
export interface Accident {
  readonly do: 'flush' | 'restart' | 'roll back';
  readonly turns: number;
}

/** Makes a Redis lose what it had. */
export class RedisAccidents {
  private constructor(
    private readonly redis: RedisBench,
    private readonly clients: readonly Redis[],
    private readonly folder: string,
  ) {}

  static async on(redis: RedisBench, clients: readonly Redis[]): Promise<RedisAccidents> {
    const [, folder] = z.tuple([z.string(), z.string()]).parse(await clients[0]?.config('GET', 'dir'));
    return new RedisAccidents(redis, clients, folder);
  }

  /** In a turn of its own, after some others. */
  async befall(turns: Turns, accident: Accident): Promise<void> {
    const older = join(this.folder, `older-${uuidv7()}`);
    if (accident.do === 'roll back') await turns.run('copy', () => this.copyTo(older));
    for (let turn = 0; turn < accident.turns; turn += 1) await turns.run('wait', () => Promise.resolve());
    await turns.run(accident.do, async () => {
      if (accident.do === 'flush') await this.clients[0]?.flushall();
      else await this.restart(accident.do === 'roll back' ? older : null);
    });
    rmSync(older, { recursive: true, force: true });
  }

  private copyTo(older: string): Promise<void> {
    cpSync(join(this.folder, 'appendonlydir'), older, { recursive: true });
    return Promise.resolve();
  }

  private async restart(older: string | null): Promise<void> {
    await this.redis.server.stop('SIGKILL');
    if (older !== null) {
      rmSync(join(this.folder, 'appendonlydir'), { recursive: true });
      cpSync(older, join(this.folder, 'appendonlydir'), { recursive: true });
    }
    await this.redis.server.start();
    for (const client of this.clients) await whenReady(client);
  }
}
