// Lets plain Node run this repository's TypeScript sources without a build: `node --import ./testing/typescript-loader.mjs x.ts`.
// Tests use it for processes of their own (the Postgres of a test run, a fake upstream).
import { register } from 'node:module';

register('./typescript-hooks.mjs', import.meta.url);
