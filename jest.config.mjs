// The whole test suite: unit and integration specs in one run.
import { availableParallelism } from 'node:os';

export default {
  projects: ['<rootDir>/jest.unit.config.mjs', '<rootDir>/jest.int.config.mjs'],
  reporters: ['default', './tools/closing-line-reporter.mjs'],
  // Many integration specs wait for deadlines: somebody else may have the processor then.
  maxWorkers: Math.ceil(availableParallelism() * 1.5),
};
