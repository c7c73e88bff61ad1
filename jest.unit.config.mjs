// Unit specs: no I/O.
import { base } from './jest.base.mjs';

export default {
  ...base,
  displayName: 'unit',
  roots: [
    '<rootDir>/apps',
    '<rootDir>/libs',
    '<rootDir>/embedded',
    '<rootDir>/testing',
    '<rootDir>/chaos',
    '<rootDir>/tools',
  ],
  testMatch: ['**/src/**/*.spec.ts', '<rootDir>/tools/*.spec.ts'],
};
