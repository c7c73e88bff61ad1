// What every Jest project shares. TypeScript and the ESM-only packages below are compiled to CommonJS by swc,
// so that Nest 12 runs under Jest on Node 20 without flags.
import { fileURLToPath } from 'node:url';

/** The repository root: every config resolves its paths from here, wherever Jest was started. */
export const rootDir = fileURLToPath(new URL('.', import.meta.url));

const swcOptions = {
  swcrc: false,
  jsc: {
    target: 'es2022',
    parser: { syntax: 'typescript', decorators: true },
    transform: { legacyDecorator: true, decoratorMetadata: true },
    keepClassNames: true,
  },
  module: { type: 'commonjs' },
  sourceMaps: 'inline',
};

/** Packages that ship ES modules only; Jest names a missing one as "Must use import to load ES Module". */
const esmOnlyPackages = [
  '@nestjs',
  '@seriousme',
  'uuid',
  'cookie',
  'file-type',
  'strtok3',
  'token-types',
  'uint8array-extras',
  '@borewit',
  '@tokenizer',
  // It loads node:http by a dynamic import, which Jest has none of.
  '@opentelemetry/otlp-exporter-base',
];

export const base = {
  rootDir,
  testEnvironment: 'node',
  moduleNameMapper: {
    '^@tollgate/(embedded|testing)$': '<rootDir>/$1/src/index.ts',
    '^@tollgate/([^/]+)$': '<rootDir>/libs/$1/src/index.ts',
    '^(\\.{1,2}/.*)\\.js$': '$1',
  },
  transform: { '^.+\\.(ts|js|mjs)$': ['@swc/jest', swcOptions] },
  transformIgnorePatterns: [`/node_modules/(?!(${esmOnlyPackages.join('|')})/)`],
  modulePathIgnorePatterns: [
    '<rootDir>/(apps|libs)/[^/]+/dist/',
    '<rootDir>/(embedded|testing|benchmarks|chaos)/dist/',
    '<rootDir>/data/',
  ],
};
