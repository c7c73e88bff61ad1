import { wronglyCollectedSpecs } from './tidy/collected-specs.js';
import { deadFiles, fileCycles, folderCycles, importGraph } from './tidy/graph.js';
import { forbiddenPackageImports, forbiddenProjectImports, undeclaredPackages } from './tidy/imports.js';
import { longFiles, longFunctions, relayProblems } from './tidy/lengths.js';
import { drawers, glossaryProblems, hesitantTestNames, unitProblems } from './tidy/names.js';
import { parseSource, type SourceFile } from './tidy/source-file.js';
import { manifestProblems, missingReadmes } from './tidy/workspaces.js';
import {
  barrels,
  defaultExports,
  environmentReaders,
  prefixedInterfaces,
  unexplainedCasts,
  unownedNotes,
} from './tidy/writing.js';

// Each rule of tidy.spec.ts catches what it is for, and lets pass what it might confuse with it.

const LEDGER = 'libs/ledger/src/holds.ts';

function sources(texts: Readonly<Record<string, string>>): SourceFile[] {
  return Object.entries(texts).map(([path, text]) => parseSource(path, text));
}

function one(text: string, path: string = LEDGER): SourceFile[] {
  return sources({ [path]: text });
}

function lines(count: number, line = '  work();'): string {
  return `${line}\n`.repeat(count);
}

describe('sizes', () => {
  it('finds a file of 501 lines', () => {
    expect(longFiles(one(lines(500)))).toEqual([]);
    expect(longFiles(one(lines(501)))).toEqual([`${LEDGER}: 501 lines, at most 500`]);
  });

  it('finds functions, methods and arrow functions of 71 lines', () => {
    expect(longFunctions(one(`function hold() {\n${lines(68)}}`))).toEqual([]);
    expect(longFunctions(one(`function hold() {\n${lines(69)}}`))).toEqual([
      `${LEDGER}:1: hold has 71 lines, at most 70`,
    ]);
    expect(longFunctions(one(`class Store {\n  close() {\n${lines(69)}  }\n}`))).toHaveLength(1);
    expect(longFunctions(one(`const settle = () => {\n${lines(69)}};`))).toHaveLength(1);
  });

  it('takes describe blocks for sections, and measures the functions in them', () => {
    const path = 'libs/ledger/src/holds.spec.ts';
    expect(longFunctions(one(`describe('holds', () => {\n${lines(90)}});`, path))).toEqual([]);
    expect(
      longFunctions(one(`function suite() {\ndescribe('holds', () => {\n${lines(90)}});\n}`, path)),
    ).toEqual([]);
    expect(
      longFunctions(one(`describe('holds', () => {\nit('x', () => {\n${lines(90)}});\n});`, path)),
    ).toHaveLength(1);
  });

  it('finds a relay that is long, or is not one function', () => {
    const relay = (text: string): string[] => relayProblems(parseSource('relay.ts', text));
    expect(relay(`export interface Steps {}\nexport function relay() {\n${lines(38)}}`)).toEqual([]);
    expect(relay(`export function relay() {\n${lines(39)}}`)).toHaveLength(1);
    expect(relay(`export function relay() {}\n${lines(150, '// x')}`)).toHaveLength(1);
    expect(relay(`export function relay() {}\nexport const other = () => {};`)).toHaveLength(1);
    expect(relay(`export class Relay {}\nexport function relay() {}`)).toHaveLength(1);
    expect(relay(`function relay() {}`)).toHaveLength(1);
  });
});

describe('names', () => {
  it('finds drawers among folders and files', () => {
    expect(
      drawers(['libs/ledger/src/utils/a.ts', 'libs/ledger/src/types.ts', 'e2e/helpers.e2e-spec.ts']),
    ).toHaveLength(3);
    expect(drawers(['libs/ledger/src/hold-store.ts', 'libs/openai/src/sse.spec.ts'])).toEqual([]);
  });

  it.each([
    'const channel = 1;',
    'interface Tenant {}',
    'function chargeAccount() {}',
    'interface Row { userId: string }',
    'const quotaLeft = 1n;',
    'class ModelRegistry {}',
    'function find(apiToken: string) {}',
  ])('finds the word that the glossary replaces in %p', (text) => {
    expect(glossaryProblems(one(text))).toHaveLength(1);
  });

  it('lets words of the wire, of Postgres and of other meanings pass', () => {
    const allowed = [
      'const insufficientQuota = { code: "insufficient_quota" };',
      'interface ChatRequest { user?: string }',
      'const minimumChargeNano = 1n;',
      'function release(inputTokens: number) {}',
      'const NOTIFY_CHANNEL = "changed";',
    ];
    expect(glossaryProblems(one(allowed.join('\n')))).toEqual([]);
  });

  it('finds reservations where only holds are known', () => {
    const text = 'const reservation = 1;';
    expect(glossaryProblems(one(text, 'apps/gateway/src/relay/plan.ts'))).toHaveLength(1);
    expect(glossaryProblems(one(text, 'libs/ledger/src/settle.ts'))).toEqual([]);
  });

  it('finds times and amounts without their unit at the end', () => {
    const bad = ['const IDLE_TIMEOUT = 5;', 'interface A { delay: number }', 'interface B { cost: bigint }'];
    expect(unitProblems(one([...bad, 'const nanoAmount = 1n;'].join('\n')))).toHaveLength(4);
    const good = [
      'const IDLE_TIMEOUT_MS = 5;',
      'interface B { costNano: bigint }',
      'const NANO_PER_CREDIT = 1n;',
    ];
    expect(unitProblems(one(good.join('\n')))).toEqual([]);
  });

  it('finds tests that say should, and interfaces that say I', () => {
    const spec = 'libs/ledger/src/holds.spec.ts';
    expect(hesitantTestNames(one("it('should refuse a hold', () => {});", spec))).toHaveLength(1);
    expect(hesitantTestNames(one("it('refuses a hold', () => {});", spec))).toEqual([]);
    expect(prefixedInterfaces(one('interface ILedger {}\ninterface Idle {}'))).toHaveLength(1);
  });
});

describe('dependencies', () => {
  it.each([
    ['an app in a library', LEDGER, '@tollgate/gateway'],
    ['an app in an app', 'apps/billing/src/main.ts', '@tollgate/gateway'],
    ['an upper library in a lower one', 'libs/pricing/src/cost.ts', '@tollgate/ledger'],
    ['a sibling library', LEDGER, '@tollgate/providers'],
    ['a file inside a library', 'apps/billing/src/main.ts', '@tollgate/ledger/holds'],
    ['another project by its folder', 'apps/billing/src/main.ts', '../../../libs/ledger/src/index.js'],
    ['test gear in production', LEDGER, '@tollgate/testing'],
  ])('finds an import of %s', (_case, path, specifier) => {
    expect(forbiddenProjectImports(one(`import { x } from '${specifier}';`, path))).toHaveLength(1);
    expect(forbiddenProjectImports(one(`const x = await import('${specifier}');`, path))).toHaveLength(1);
  });

  it('lets imports downwards pass, and test gear in specs', () => {
    expect(forbiddenProjectImports(one("import { x } from '@tollgate/persistence';"))).toEqual([]);
    expect(
      forbiddenProjectImports(one("import { x } from '@tollgate/testing';", 'libs/ledger/src/a.int-spec.ts')),
    ).toEqual([]);
  });

  it('finds third-party packages outside their projects and I/O in pure libraries', () => {
    expect(forbiddenPackageImports(one("import { request } from 'undici';"))).toHaveLength(1);
    expect(
      forbiddenPackageImports(one("import { Entity } from 'typeorm';", 'apps/gateway/src/a.ts')),
    ).toHaveLength(1);
    expect(forbiddenPackageImports(one("import fs from 'node:fs';", 'libs/openai/src/a.ts'))).toHaveLength(1);
    expect(forbiddenPackageImports(one("import { z } from 'zod';", 'libs/openai/src/a.ts'))).toEqual([]);
  });

  it('finds packages that the root does not declare, and builtins without node:', () => {
    const declared = { dependencies: ['pg'], devDependencies: ['jest'] };
    expect(undeclaredPackages(one("import x from 'left-pad';"), declared)).toHaveLength(1);
    expect(undeclaredPackages(one("import x from 'jest';"), declared)).toHaveLength(1);
    expect(undeclaredPackages(one("import x from 'fs';"), declared)).toHaveLength(1);
    expect(undeclaredPackages(one("import x from 'pg/lib/x';\nimport y from 'node:fs';"), declared)).toEqual(
      [],
    );
  });

  it('finds circles of files, also through types', () => {
    const circle = sources({
      'libs/ledger/src/a.ts': "import type { B } from './b.js';",
      'libs/ledger/src/b.ts': "export { a } from './a.js';",
      'libs/ledger/src/c.ts': "import { a } from './a.js';",
    });
    expect(fileCycles(importGraph(circle))).toEqual(['libs/ledger/src/a.ts <-> libs/ledger/src/b.ts']);
  });

  it('finds circles of folders, wiring and leaves excepted', () => {
    const src = 'apps/gateway/src';
    const circle = sources({
      [`${src}/auth/guard.ts`]: "import { route } from '../routing/router.js';",
      [`${src}/auth/caller.ts`]: "import { snapshot } from '../routing/catalog.js';",
      [`${src}/routing/router.ts`]: "import { Caller } from '../auth/caller.js';",
      [`${src}/routing/catalog.ts`]: '',
    });
    expect(folderCycles(importGraph(circle))).toEqual([
      `${src}/auth <-> ${src}/routing`,
      `  ${src}/auth/guard.ts -> ${src}/routing/router.ts`,
      `  ${src}/routing/router.ts -> ${src}/auth/caller.ts`,
    ]);
    const tree = sources({
      [`${src}/gateway.module.ts`]: "import './auth/guard.js';",
      [`${src}/auth/guard.ts`]: "import '../gateway.module.js'; import '../relay/gateway-errors.js';",
      [`${src}/relay/relay.ts`]: "import '../auth/guard.js';",
      [`${src}/relay/gateway-errors.ts`]: '',
    });
    expect(folderCycles(importGraph(tree))).toEqual([]);
  });

  it('finds files that nothing loads, also those that only specs load', () => {
    const tree = {
      'libs/ledger/src/index.ts': "export { a } from './a.js';",
      'libs/ledger/src/a.ts': "fork(new URL('./child.js', import.meta.url));",
      'libs/ledger/src/child.ts': '',
      'libs/ledger/src/a.spec.ts': "import './a.spec-kit.js';",
      'libs/ledger/src/a.spec-kit.ts': '',
    };
    expect(deadFiles(sources(tree))).toEqual([]);
    const forgotten = { 'libs/ledger/src/old.ts': '', 'libs/ledger/src/old.spec.ts': "import './old.js';" };
    expect(deadFiles(sources({ ...tree, ...forgotten }))).toHaveLength(1);
  });

  it('finds barrels', () => {
    expect(barrels(one("export { a } from './a.js';"))).toHaveLength(1);
    expect(barrels(one('const a = 1;', 'libs/ledger/src/holds/index.ts'))).toHaveLength(1);
    expect(barrels(one("export { a } from './a.js';", 'libs/ledger/src/index.ts'))).toEqual([]);
  });
});

describe('workspaces', () => {
  const project = {
    path: 'libs/a',
    name: '@tollgate/a',
    tag: 'pure',
    mayImport: ['@tollgate/pricing'],
    entries: [],
  };
  const manifest = (
    content: object,
    references: readonly string[] = [],
  ): ((path: string) => string | null) => {
    const config = { references: references.map((path) => ({ path })) };
    return (path) => (path.endsWith('package.json') ? JSON.stringify(content) : JSON.stringify(config));
  };
  const nx = { tags: ['pure'] };

  it('finds manifests that say something else than the table', () => {
    const problems = (content: object, references?: readonly string[]): string[] =>
      manifestProblems([], manifest(content, references), [project]);
    expect(problems({ nx, dependencies: { '@tollgate/pricing': '*' } }, ['../../libs/pricing'])).toEqual([]);
    expect(problems({ nx: { tags: ['app'] } })).toHaveLength(1);
    expect(problems({ nx, dependencies: { '@tollgate/ledger': '*' } }, ['../ledger'])).toHaveLength(1);
    expect(problems({ nx, dependencies: { '@tollgate/pricing': '*' } })).toHaveLength(1);
    expect(problems({ nx }, ['../pricing'])).toHaveLength(1);
    expect(problems({ nx, dependencies: { pg: '8' } })).toHaveLength(1);
  });

  it('finds a workspace without a README', () => {
    expect(missingReadmes(() => null, [project])).toHaveLength(1);
    expect(missingReadmes(() => '# a', [project])).toEqual([]);
  });
});

describe('writing', () => {
  it.each([
    'const url = process.env.DATABASE_URL;',
    "const url = process['env'].DATABASE_URL;",
    'const { env } = process;',
    "import { env } from 'node:process';",
  ])('finds a reader of the environment in %p', (text) => {
    expect(environmentReaders(one(text))).toHaveLength(1);
    expect(environmentReaders(one(text, 'libs/runtime/src/config.ts'))).toEqual([]);
  });

  it('finds notes without an issue, in comments only', () => {
    const note = 'TODO';
    expect(unownedNotes(one(`// ${note}: later\nwork();`))).toHaveLength(1);
    expect(unownedNotes(one(`work(); // ${note}: later`))).toHaveLength(1);
    expect(unownedNotes(one(`// ${note}(#12): later\nwork('${note}');`))).toEqual([]);
  });

  it('finds default exports', () => {
    expect(defaultExports(one('export default class Ledger {}'))).toHaveLength(1);
    expect(defaultExports(one('const a = 1;\nexport default a;'))).toHaveLength(1);
    expect(defaultExports(one('const a = 1;\nexport { a as default };'))).toHaveLength(1);
    expect(defaultExports(one('export default {};', 'jest.unit.config.mjs'))).toEqual([]);
  });

  it('finds casts that nobody explains', () => {
    expect(unexplainedCasts(one('const a = b as string;'))).toHaveLength(1);
    expect(
      unexplainedCasts(
        one(
          '// pg types this as unknown.\nconst a = b as string;\nconst c = [] as const;\nf(b as unknown[]);',
        ),
      ),
    ).toEqual([]);
  });
});

describe('tests', () => {
  it('finds specs that no config collects, or two', () => {
    const collected = new Map([
      ['unit', ['libs/a/src/a.spec.ts']],
      ['int', ['libs/a/src/a.spec.ts', 'libs/a/src/b.int-spec.ts']],
    ]);
    const paths = ['libs/a/src/a.spec.ts', 'libs/a/src/b.int-spec.ts', 'libs/a/c.spec.ts', 'libs/a/src/d.ts'];
    expect(wronglyCollectedSpecs(paths, collected)).toEqual([
      'libs/a/src/a.spec.ts: collected by unit and int',
      'libs/a/c.spec.ts: collected by no config',
    ]);
  });
});
