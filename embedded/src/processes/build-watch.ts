import { existsSync, watch, type FSWatcher } from 'node:fs';
import { join } from 'node:path';

/** The compiler writes file after file: what comes within this time is one build. */
const BUILD_PAUSE_MS = 400;

/** What has to be started again when a compiled file changes. `launcher` is the process that watches. */
export type Rebuilt = 'gateway' | 'billing' | 'admin' | 'demo upstream' | 'launcher';

const APPS = ['gateway', 'billing', 'admin'] as const;

/** What a compiled file belongs to; the path is relative to the checkout, with slashes. */
export function rebuiltBy(path: string): readonly Rebuilt[] {
  if (!path.endsWith('.js')) return [];
  const app = APPS.find((name) => path.startsWith(`apps/${name}/dist/`));
  if (app !== undefined) return [app];
  // The launcher migrates, and only at its start.
  if (path.startsWith('libs/persistence/dist/migrations/')) return ['launcher'];
  if (path.startsWith('libs/')) return APPS;
  if (path.startsWith('embedded/dist/demo-upstream/')) return ['demo upstream'];
  return path.startsWith('embedded/dist/') ? ['launcher'] : [];
}

/** Watches what the compiler writes, and tells after each build what it changed. Answers how to end. */
export function watchBuilds(options: {
  /** The checkout. */
  root: string;
  /** Its workspaces, relative to it. */
  workspaces: readonly string[];
  onBuild: (rebuilt: ReadonlySet<Rebuilt>) => void;
}): () => void {
  const { root, workspaces, onBuild } = options;
  let rebuilt = new Set<Rebuilt>();
  let pause: NodeJS.Timeout | undefined;
  const take = (path: string): void => {
    const found = rebuiltBy(path);
    if (found.length === 0) return;
    for (const one of found) rebuilt.add(one);
    clearTimeout(pause);
    pause = setTimeout(() => {
      const build = rebuilt;
      rebuilt = new Set();
      onBuild(build);
    }, BUILD_PAUSE_MS);
  };
  const watchers: FSWatcher[] = workspaces
    .map((workspace) => `${workspace}/dist`)
    .filter((folder) => existsSync(join(root, folder)))
    .map((folder) =>
      watch(join(root, folder), { recursive: true }, (_, name) => {
        if (name !== null) take(`${folder}/${name.replaceAll('\\', '/')}`);
      }),
    );
  return () => {
    clearTimeout(pause);
    for (const watcher of watchers) watcher.close();
  };
}
