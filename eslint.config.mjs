// The lint rules of this repository. What needs a view over several files is in tools/tidy.spec.ts instead.
import js from '@eslint/js';
import { defineConfig, globalIgnores } from 'eslint/config';
import tseslint from 'typescript-eslint';

const specFiles = ['**/*.spec.ts', '**/*.spec-kit.ts', '**/*.int-spec.ts', '**/*.e2e-spec.ts'];
const testCode = [...specFiles, 'testing/**/*.ts', 'e2e/**/*.ts', 'chaos/**/*.ts'];

const nodeGlobals = [
  'AbortController',
  'Buffer',
  'URL',
  'clearTimeout',
  'console',
  'fetch',
  'process',
  'setTimeout',
];

const restrictedSyntax = [
  { selector: 'TSEnumDeclaration', message: 'Use a const array or object with a derived type, not an enum.' },
  { selector: 'ExportDefaultDeclaration', message: 'Export by name.' },
  { selector: 'ExportSpecifier[exported.name="default"]', message: 'Export by name.' },
  { selector: 'Identifier[name="forwardRef"]', message: 'Break the cycle instead.' },
  {
    selector: 'MemberExpression[object.name="Scope"][property.name=/^(REQUEST|TRANSIENT)$/]',
    message:
      'Pass the caller as an argument: request scope rebuilds the tree of providers for every request.',
  },
  {
    selector:
      'CallExpression[callee.object.name="jest"][callee.property.name=/^(mock|doMock|unstable_mockModule)$/]',
    message: 'Hand a small fake to the constructor, or use the real part.',
  },
  {
    selector: 'CallExpression[callee.name="parseFloat"]',
    message: 'Money is never a float; parse other numbers with zod.',
  },
  {
    selector: 'FunctionDeclaration[params.length>3]',
    message: 'More than three parameters: take one object with names.',
  },
  {
    // Constructors and decorated parameters are filled in by Nest, by what they are and not by their order.
    selector:
      'MethodDefinition[kind!="constructor"] > FunctionExpression[params.length>3][params.0.decorators.length=0]',
    message: 'More than three parameters: take one object with names.',
  },
  {
    selector: 'CallExpression[callee.property.name="addBulk"]',
    message: 'addBulk can lose a job without an error on Redis. Put many events into one job.',
  },
];

const restrictedImports = {
  paths: [
    {
      name: 'node:process',
      message: 'Use the global `process`; the environment is read by loadConfig alone.',
    },
    {
      name: 'bullmq',
      importNames: ['QueueEvents'],
      message: 'QueueEvents loses events on the Postgres backend.',
    },
    { name: 'node:test', message: 'Tests run under Jest.' },
  ],
  patterns: [
    {
      group: ['@tollgate/*/*'],
      message: 'Import a library by its name: its index.ts is all that is public.',
    },
    { regex: '(^|/)(dist|node_modules)/', message: 'Import the source or the package, not the build.' },
    {
      regex: '^\\.{1,2}(/.*)?/(libs|apps|embedded|testing)/',
      message: 'Import another project by its name.',
    },
  ],
};

const houseRules = {
  curly: ['error', 'multi-line'],
  eqeqeq: 'error',
  'max-lines-per-function': ['error', { max: 70 }],
  'no-console': 'error',
  'no-restricted-imports': ['error', restrictedImports],
  'no-restricted-syntax': ['error', ...restrictedSyntax],
  'object-shorthand': 'error',
  'prefer-const': 'error',
};

const typedRules = {
  '@typescript-eslint/await-thenable': 'error',
  '@typescript-eslint/consistent-type-imports': ['error', { fixStyle: 'inline-type-imports' }],
  '@typescript-eslint/explicit-module-boundary-types': 'error',
  '@typescript-eslint/no-explicit-any': 'error',
  '@typescript-eslint/no-floating-promises': 'error',
  '@typescript-eslint/no-misused-promises': 'error',
  '@typescript-eslint/no-non-null-assertion': 'error',
  '@typescript-eslint/no-unused-vars': [
    'error',
    { argsIgnorePattern: '^_', varsIgnorePattern: '^_', ignoreRestSiblings: true },
  ],
  '@typescript-eslint/only-throw-error': 'error',
  '@typescript-eslint/prefer-promise-reject-errors': 'error',
  // A method without await keeps `async` where an interface wants a promise and a throw has to become a rejection.
  '@typescript-eslint/require-await': 'off',
  '@typescript-eslint/restrict-template-expressions': ['error', { allowNumber: true }],
  '@typescript-eslint/return-await': ['error', 'error-handling-correctness-only'],
  '@typescript-eslint/switch-exhaustiveness-check': ['error', { considerDefaultExhaustiveForUnions: true }],
};

/** Answers of real servers are examined freely in tests; production code parses what it receives. */
const testRules = {
  'max-lines-per-function': 'off', // tidy measures the functions of a spec without its describe blocks
  'no-console': 'off',
  '@typescript-eslint/explicit-module-boundary-types': 'off',
  '@typescript-eslint/no-explicit-any': 'off',
  '@typescript-eslint/no-unsafe-argument': 'off',
  '@typescript-eslint/no-unsafe-assignment': 'off',
  '@typescript-eslint/no-unsafe-call': 'off',
  '@typescript-eslint/no-unsafe-member-access': 'off',
  '@typescript-eslint/no-unsafe-return': 'off',
  '@typescript-eslint/unbound-method': 'off',
};

export default defineConfig(
  globalIgnores([
    '**/dist/',
    '**/node_modules/',
    '**/data/',
    '**/data-dev/',
    '**/coverage/',
    '.nx/',
    '**/*.generated.*',
  ]),
  js.configs.recommended,
  {
    files: ['**/*.ts'],
    extends: [tseslint.configs.recommendedTypeChecked],
    languageOptions: {
      parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname },
    },
    rules: { ...houseRules, ...typedRules },
  },
  {
    // Nest reads constructor types at run time: a class that is injected has to be a value import.
    files: ['apps/**/*.ts'],
    rules: { '@typescript-eslint/consistent-type-imports': 'off' },
  },
  {
    files: ['apps/gateway/src/**/*.ts'],
    ignores: testCode,
    rules: {
      'no-restricted-globals': [
        'error',
        { name: 'fetch', message: 'Upstreams are called through undici dispatch.' },
      ],
    },
  },
  { files: testCode, rules: testRules },
  {
    files: ['**/*.mjs', '**/*.js'],
    extends: [tseslint.configs.disableTypeChecked],
    languageOptions: {
      globals: Object.fromEntries(nodeGlobals.map((name) => [name, 'readonly'])),
    },
    rules: houseRules,
  },
  {
    files: ['**/*.mjs', 'embedded/**/*.ts', 'benchmarks/**/*.ts', 'tools/**/*.ts'],
    rules: { 'no-console': 'off' },
  },
  {
    // Tools load these by their default export.
    files: ['*.config.mjs', 'tools/closing-line-reporter.mjs', 'testing/jest-global-*.mjs'],
    rules: {
      'no-restricted-syntax': [
        'error',
        ...restrictedSyntax.filter(({ message }) => message !== 'Export by name.'),
      ],
    },
  },
);
