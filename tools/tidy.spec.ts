import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { collectSpecs, wronglyCollectedSpecs } from './tidy/collected-specs.js';
import { deadFiles, fileCycles, folderCycles, importGraph } from './tidy/graph.js';
import { forbiddenPackageImports, forbiddenProjectImports, undeclaredPackages } from './tidy/imports.js';
import { longFiles, longFunctions, relayProblems } from './tidy/lengths.js';
import { drawers, glossaryProblems, hesitantTestNames, unitProblems } from './tidy/names.js';
import { readSources } from './tidy/source-file.js';
import { manifestProblems, missingReadmes } from './tidy/workspaces.js';
import {
  barrels,
  defaultExports,
  environmentReaders,
  prefixedInterfaces,
  unexplainedCasts,
  unownedNotes,
} from './tidy/writing.js';

// The house rules of this repository, run as a test. What each rule catches is shown in tidy-rules.spec.ts.

const root = join(__dirname, '..');
const files = readSources(root);
const paths = files.map(({ path }) => path);
const graph = importGraph(files);

function readText(path: string): string | null {
  return existsSync(join(root, path)) ? readFileSync(join(root, path), 'utf8') : null;
}

describe('sizes', () => {
  it('keeps files within 500 lines', () => expectNone(longFiles(files)));
  it('keeps functions within 70 lines', () => expectNone(longFunctions(files)));

  it('keeps the relay one short function in one short file', () => {
    const relay = files.find(({ path }) => path === 'apps/gateway/src/relay/relay.ts');
    expectNone(
      relay === undefined ? ['apps/gateway/src/relay/relay.ts does not exist'] : relayProblems(relay),
    );
  });
});

describe('names', () => {
  it('has no drawers for anything', () => expectNone(drawers(paths)));
  it('uses the words of the glossary', () => expectNone(glossaryProblems(files)));
  it('names amounts and times with their unit last', () => expectNone(unitProblems(files)));
  it('names tests by what happens', () => expectNone(hesitantTestNames(files)));
  it('names interfaces by what they are', () => expectNone(prefixedInterfaces(files)));
});

describe('dependencies', () => {
  it('imports other projects only downwards', () => expectNone(forbiddenProjectImports(files)));
  it('keeps databases, Redis and HTTP clients where they belong', () =>
    expectNone(forbiddenPackageImports(files)));
  it('says the same in package.json, tsconfig.json and the table', () =>
    expectNone(manifestProblems(files, readText)));
  it('has no circle of files', () => expectNone(fileCycles(graph)));
  it('has no circle of folders in an app', () => expectNone(folderCycles(graph)));
  it('has no barrel but the index of a library', () => expectNone(barrels(files)));
  it('has no file that nothing loads', () => expectNone(deadFiles(files)));

  it('declares every third-party package in the root', () => {
    const manifest: { dependencies: object; devDependencies: object } = JSON.parse(
      readText('package.json') ?? '{}',
    );
    const dependencies = Object.keys(manifest.dependencies);
    // Each real client has a manifest and a lockfile of its own: the root must not decide its versions.
    const ours = files.filter(({ path }) => !path.startsWith('e2e/clients/'));
    expectNone(
      undeclaredPackages(ours, { dependencies, devDependencies: Object.keys(manifest.devDependencies) }),
    );
  });
});

describe('writing', () => {
  it('reads the environment in one place', () => expectNone(environmentReaders(files)));
  it('leaves no note without an issue', () => expectNone(unownedNotes(files)));
  it('exports by name', () => expectNone(defaultExports(files)));
  it('explains every cast', () => expectNone(unexplainedCasts(files)));
  it('describes every workspace in a README', () => expectNone(missingReadmes(readText)));
});

describe('tests', () => {
  it('collects every spec with exactly one config', async () => {
    const configs = readdirSync(root).filter((name) => /^jest\..+\.config\.mjs$/.test(name));
    expectNone(wronglyCollectedSpecs(paths, await collectSpecs(root, configs)));
  }, 60_000);
});

/** Fails with the offenders, one a line. */
function expectNone(offenders: readonly string[]): void {
  if (offenders.length > 0) {
    throw new Error(`${String(offenders.length)} found:\n  ${offenders.join('\n  ')}`);
  }
}
