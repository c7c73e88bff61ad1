/** What one project may import. */
export interface Project {
  /** Folder, from the root. */
  readonly path: string;
  /** Name that others import it by; null where nobody may. */
  readonly name: string | null;
  /** Its one Nx tag; null where it is no workspace. */
  readonly tag: string | null;
  /** Projects that its code may import. */
  readonly mayImport: readonly string[];
  /** Files that are loaded by something else than an import. Everything else has to be reached from them. */
  readonly entries: readonly string[];
}

const PURE = ['@tollgate/pricing', '@tollgate/openai'];
const PLATFORM = ['@tollgate/persistence', '@tollgate/runtime'];
const LIBRARIES = [...PURE, '@tollgate/contracts', ...PLATFORM, '@tollgate/ledger', '@tollgate/providers'];
const TEST_GEAR = ['@tollgate/testing', '@tollgate/embedded'];

/** The dependency rule of the repository: one row per project, arrows only downwards, apps never import apps. */
export const PROJECTS: readonly Project[] = [
  library('pricing', 'pure', []),
  library('openai', 'pure', []),
  library('contracts', 'contract', PURE),
  library('runtime', 'platform', ['@tollgate/contracts']),
  library('persistence', 'platform', ['@tollgate/contracts', '@tollgate/pricing']),
  library('ledger', 'domain', [...PLATFORM, '@tollgate/contracts', '@tollgate/pricing']),
  library('providers', 'domain', [...PLATFORM, '@tollgate/contracts', ...PURE]),
  app('gateway'),
  app('billing', ['src/audit.ts']),
  app('admin', ['src/operator-reset.ts', 'src/write-openapi.ts']),
  app('migrate'),
  workspace({
    path: 'embedded',
    tag: 'launcher',
    mayImport: LIBRARIES,
    entries: ['start.mjs', 'src/index.ts'],
  }),
  workspace({
    path: 'testing',
    tag: 'test-gear',
    mayImport: [...LIBRARIES, '@tollgate/embedded'],
    entries: ['src/index.ts', 'jest-global-setup.mjs', 'jest-global-teardown.mjs'],
  }),
  {
    path: 'e2e',
    name: null,
    tag: null,
    mayImport: [...LIBRARIES, ...TEST_GEAR],
    entries: ['clients/admin-openapi/client.mjs'],
  },
  {
    path: 'benchmarks',
    name: null,
    tag: null,
    mayImport: [...LIBRARIES, ...TEST_GEAR],
    entries: ['run.ts', 'upstream.ts', 'pass-through.ts'],
  },
  {
    path: 'chaos',
    name: null,
    tag: null,
    mayImport: [...LIBRARIES, ...TEST_GEAR],
    entries: ['src/main.ts', 'src/proxy/main.ts', 'src/upstream/main.ts'],
  },
  {
    path: 'tools',
    name: null,
    tag: null,
    mayImport: [],
    entries: ['check-lockfile.mjs', 'closing-line-reporter.mjs'],
  },
];

/** What specs may import beyond their project's own row. */
export const SPECS_MAY_IMPORT: readonly string[] = TEST_GEAR;

/** Third-party packages that only some projects may use, tests of the whole excepted. */
export const RESTRICTED_PACKAGES: Readonly<Record<string, readonly string[]>> = {
  typeorm: ['libs/persistence', 'libs/ledger', 'apps/admin'],
  '@nestjs/typeorm': ['libs/persistence', 'libs/ledger', 'apps/admin'],
  ioredis: ['libs/ledger', 'libs/runtime', 'apps/gateway'],
  undici: ['apps/gateway'],
};

/** All that a pure library may import from outside the repository: it computes, it does no I/O. */
export const PURE_PACKAGES: readonly string[] = ['zod', 'node:assert', 'node:assert/strict'];

/** The only readers of the environment, each with its reason. */
export const ENVIRONMENT_READERS: readonly string[] = [
  'libs/runtime/src/config.ts', // loadConfig: what every process reads, through a schema
  'testing/jest-global-setup.mjs', // writes what the specs of the run then read through loadConfig
  'jest.e2e.config.mjs', // which of the two installations the run meets
  'tools/tidy/collected-specs.ts', // hands it on, to ask for the specs of both installations
];

/** The project that a file belongs to, or undefined for files in the root. */
export function projectOf(path: string): Project | undefined {
  return PROJECTS.find((project) => path.startsWith(`${project.path}/`));
}

function library(name: string, tag: string, mayImport: readonly string[]): Project {
  return workspace({ path: `libs/${name}`, tag, mayImport, entries: ['src/index.ts'] });
}

function app(name: string, commands: readonly string[] = []): Project {
  return {
    ...workspace({
      path: `apps/${name}`,
      tag: 'app',
      mayImport: LIBRARIES,
      entries: ['src/main.ts', ...commands],
    }),
    name: null,
  };
}

function workspace(project: Omit<Project, 'name'>): Project {
  return { ...project, name: `@tollgate/${project.path.split('/').at(-1) ?? ''}` };
}
