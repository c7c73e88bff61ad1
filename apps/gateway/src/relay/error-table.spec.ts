import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { loadConfig } from '@tollgate/runtime';
import { z } from 'zod';
import { GATEWAY_ERRORS } from './gateway-errors.js';

const PATH = join(__dirname, '../../../../docs/api/errors.md');

/** `UPDATE_DOCS=1` writes the document anew. */
const { UPDATE_DOCS } = loadConfig(z.object({ UPDATE_DOCS: z.string().optional() }));

const INTRODUCTION = `# Errors

Every refusal of the gateway is OpenAI's envelope, with all four members:

\`\`\`json
{ "error": { "message": "…", "type": "invalid_request_error", "param": null, "code": "model_not_found" } }
\`\`\`

This page is written from \`apps/gateway/src/relay/gateway-errors.ts\`; a test fails where the two differ
(\`UPDATE_DOCS=1 npx jest --config jest.unit.config.mjs error-table\` writes it anew). \`{…}\` is filled in.

A parameter that is missing or wrong is 400 \`invalid_request_error\` as well, with its name in \`param\` and OpenAI's codes:
\`missing_required_parameter\`, \`invalid_type\`, \`invalid_value\`, \`empty_array\`, \`integer_above_max_value\` and their like.

Within a stream the status is gone: the error is one more event, \`data: {"error": …}\`, and then \`data: [DONE]\` as ever.

`;

interface Row {
  readonly [column: string]: string;
}

function rows(): Row[] {
  return Object.entries(GATEWAY_ERRORS).map(([name, entry]) => ({
    name: `\`${name}\``,
    status: String(entry.status),
    type: `\`${entry.type}\``,
    code: entry.code === null ? 'null' : `\`${entry.code}\``,
    param: entry.param === null ? 'null' : `\`${entry.param}\``,
    headers: 'headers' in entry ? headersIn(entry.headers) : '',
    message: entry.message.replaceAll('|', '\\|'),
  }));
}

function headersIn(headers: { readonly [name: string]: string }): string {
  return Object.entries(headers)
    .map(([name, value]) => `\`${name}: ${value}\``)
    .join(', ');
}

/** A table as Prettier leaves it: cells padded to the width of their column. */
function table(all: readonly Row[]): string {
  const columns = Object.keys(all[0] ?? {});
  const width = (column: string): number =>
    Math.max(column.length, ...all.map((row) => row[column]?.length ?? 0));
  const line = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`;
  return [
    line(columns.map((column) => column.padEnd(width(column)))),
    line(columns.map((column) => '-'.repeat(width(column)))),
    ...all.map((row) => line(columns.map((column) => (row[column] ?? '').padEnd(width(column))))),
  ].join('\n');
}

describe('docs/api/errors.md', () => {
  it('is the table of errors as it stands in the code', () => {
    const written = `${INTRODUCTION}${table(rows())}\n`;
    if (UPDATE_DOCS !== undefined) writeFileSync(PATH, written);
    expect(readFileSync(PATH, 'utf8')).toBe(written);
  });

  it('has a status, a type and a sentence for each', () => {
    const statuses: ReadonlySet<number> = new Set(Object.values(GATEWAY_ERRORS).map(({ status }) => status));
    // Old clients ask for ever after a 409.
    expect(statuses.has(409)).toBe(false);
    for (const { status, type, message } of Object.values(GATEWAY_ERRORS)) {
      expect(status).toBeGreaterThanOrEqual(400);
      expect(type).not.toBe('');
      expect(message).not.toBe('');
    }
  });
});
