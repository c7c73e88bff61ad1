import 'reflect-metadata';
import { readFile, writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { describeAdminApi } from './offline-document.js';

/** Three folders below the repository's root in the source as in the build. */
const DOCUMENT_FILE = fileURLToPath(new URL('../../../docs/api/admin-openapi.json', import.meta.url));

/**
 * `npm run openapi`: writes the document into `docs/api`, where prettier lays it out. With `--check` it only compares, and
 * fails if the file says something else than the source.
 */
async function writeDocument(isCheck: boolean): Promise<void> {
  const made = JSON.stringify(await describeAdminApi(), null, 2);
  if (!isCheck) return writeFile(DOCUMENT_FILE, `${made}\n`);
  const written: unknown = JSON.parse(await readFile(DOCUMENT_FILE, 'utf8'));
  if (JSON.stringify(written, null, 2) === made) return;
  process.stderr.write('docs/api/admin-openapi.json is not what the source makes. Run: npm run openapi\n');
  process.exitCode = 1;
}

await writeDocument(process.argv.includes('--check'));
