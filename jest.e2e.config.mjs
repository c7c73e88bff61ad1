// End-to-end specs: the built processes as a black box, one file at a time (they use ports and whole machines). E2E_MODE says
// which Tollgate they meet: one of their own, as `npm start` makes it, or the one that docker compose runs.
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { base, rootDir } from './jest.base.mjs';

/** Specs that have nothing to say of compose, each with the reason. */
const EMBEDDED_ONLY = {
  'e2e/npm-start.e2e-spec.ts': 'the launcher, its ports, its data folder and its first run',
  'e2e/a-first-request-is-answered-and-debited.e2e-spec.ts':
    'what the launcher prints; e2e/compose/a-first-request-by-the-printed-steps.e2e-spec.ts is its twin',
  'e2e/a-backup-brings-everything-back.e2e-spec.ts':
    'npm run backup; e2e/compose/backup-destroy-restore.e2e-spec.ts is its twin',
  'e2e/a-trace-follows-a-request.e2e-spec.ts':
    'where traces go is said when a process starts: the installation that all files share has no collector',
  'e2e/real-clients.e2e-spec.ts':
    'what published clients make of answers is the same over any port; e2e/the-openai-sdk-works-unmodified and conformance/ meet both',
};

const missing = Object.keys(EMBEDDED_ONLY).filter((path) => !existsSync(join(rootDir, path)));
if (missing.length > 0) throw new Error(`EMBEDDED_ONLY names what is not there: ${missing.join(', ')}`);

const leftOut = process.env.E2E_MODE === 'compose' ? Object.keys(EMBEDDED_ONLY) : ['e2e/compose/'];

export default {
  ...base,
  displayName: 'e2e',
  roots: ['<rootDir>/e2e'],
  testMatch: ['<rootDir>/e2e/**/*.e2e-spec.ts'],
  testPathIgnorePatterns: ['/node_modules/', ...leftOut.map((path) => `<rootDir>/${path}`)],
  maxWorkers: 1,
  testTimeout: 180_000,
};
