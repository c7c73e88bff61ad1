// Integration specs: real Postgres (one embedded server for the whole run, a database per spec file) and real sockets.
import { base } from './jest.base.mjs';

export default {
  ...base,
  displayName: 'int',
  roots: ['<rootDir>/apps', '<rootDir>/libs', '<rootDir>/embedded', '<rootDir>/testing', '<rootDir>/chaos'],
  testMatch: ['**/src/**/*.int-spec.ts'],
  globalSetup: '<rootDir>/testing/jest-global-setup.mjs',
  globalTeardown: '<rootDir>/testing/jest-global-teardown.mjs',
  testTimeout: 30_000,
};
