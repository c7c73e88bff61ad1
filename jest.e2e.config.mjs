// End-to-end specs: the built processes as a black box, one file at a time (they use ports and whole machines).
import { base } from './jest.base.mjs';

export default {
  ...base,
  displayName: 'e2e',
  roots: ['<rootDir>/e2e'],
  testMatch: ['<rootDir>/e2e/**/*.e2e-spec.ts'],
  maxWorkers: 1,
  testTimeout: 180_000,
};
