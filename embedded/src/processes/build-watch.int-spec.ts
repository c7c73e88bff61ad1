import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { rebuiltBy, watchBuilds } from './build-watch.js';

// Real: files on disk.

it.each([
  ['apps/gateway/dist/relay/relay.js', ['gateway']],
  ['libs/pricing/dist/cost.js', ['gateway', 'billing', 'admin']],
  ['libs/persistence/dist/migrations/1-Add.js', ['launcher']],
  ['embedded/dist/demo-upstream/answer.js', ['demo upstream']],
  ['embedded/dist/launch.js', ['launcher']],
  ['apps/gateway/dist/.tsbuildinfo', []],
  ['apps/gateway/dist/main.js.map', []],
  ['apps/migrate/dist/main.js', []],
])('%s changes %j', (path, rebuilt) => {
  expect(rebuiltBy(path)).toEqual(rebuilt);
});

describe('watchBuilds', () => {
  let root: string;

  beforeEach(() => {
    root = mkdtempSync(join(tmpdir(), 'tollgate-builds-'));
    for (const folder of ['apps/gateway/dist/http', 'apps/admin/dist']) {
      mkdirSync(join(root, folder), { recursive: true });
    }
    writeFileSync(join(root, 'apps/gateway/dist/http/old.js'), 'old');
  });
  afterEach(() => rmSync(root, { recursive: true, force: true }));

  it('tells of one build once, and of the next one again', async () => {
    const builds: string[][] = [];
    const stop = watchBuilds({
      root,
      workspaces: ['apps/gateway', 'apps/admin', 'apps/billing'],
      onBuild: (rebuilt) => builds.push([...rebuilt].sort()),
    });
    const until = async (count: number): Promise<void> => {
      for (let attempt = 0; attempt < 100 && builds.length < count; attempt += 1) await delay(50);
    };
    await delay(200);
    writeFileSync(join(root, 'apps/gateway/dist/http/old.js'), 'new');
    writeFileSync(join(root, 'apps/gateway/dist/http/further.js'), 'new');
    writeFileSync(join(root, 'apps/admin/dist/main.js'), 'new');
    await until(1);
    writeFileSync(join(root, 'apps/gateway/dist/http/old.js'), 'newer');
    await until(2);
    stop();
    expect(builds).toEqual([['admin', 'gateway'], ['gateway']]);
  });
});
