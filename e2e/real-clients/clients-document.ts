import { expectAnswer } from './client-answers.js';
import { outcomeOf, seenIn, type Outcomes } from './client-run.js';
import { CLIENTS, type RealClient } from './clients.js';
import { ANSWER_NAMES, ERROR_NAMES, SCENARIOS, type AnswerName, type ErrorName } from './scenarios.js';

/** What came of all clients, by their names. */
export type Run = ReadonlyMap<string, Outcomes>;

const HEAD = `# Real clients

<!-- Written by e2e/real-clients.e2e-spec.ts out of what it sees; do not edit. -->

These packages, unmodified and with their default settings, are run against the gateway by \`npm run e2e\`: each in its own
process, with base URL and key as all that was changed. The gateway stands before an upstream that is told to answer, to
fail or to break off. How to set each of them up is in [use-with.md](use-with.md).`;

const ANSWERS_TEXT = `## What works

"yes": the program got exactly what the upstream delivered, by one request. Streamed pieces are joined; the upstream cut
letters of several bytes in two. After an abort the upstream was cancelled too. For embeddings the word behind
it is the \`encoding_format\` that the client asked for; the upstream answered the first two in numbers and the last in base64,
whatever it was asked. "–": the client has no such thing.`;

const COUNTS_TEXT = `## HTTP requests on each error

How many requests the program's one call became, by default.`;

const SEEN_TEXT = `## What the program sees of each error

The class of the error, its status and its code, as far as the client shows them.`;

/** Writes docs/api/clients.md out of a run. @throws Error if some outcome is missing. */
export function writeClientsDocument(run: Run): string {
  const sections = [HEAD, ANSWERS_TEXT, answersTable(run), COUNTS_TEXT, countsTable(run), SEEN_TEXT];
  return `${[...sections, ...seenTables(run)].join('\n\n')}\n`;
}

function answersTable(run: Run): string {
  const titles = ANSWER_NAMES.map((name) => SCENARIOS[name].title);
  const rows = CLIENTS.map((client) => [
    client.title,
    ...ANSWER_NAMES.map((name) => answerCell(run, client, name)),
    streamsUsage(run, client) ? 'yes' : '–',
  ]);
  return table([['client', ...titles, 'usage in a stream'], ...rows]);
}

function answerCell(run: Run, client: RealClient, name: AnswerName): string {
  if (!client.answers.includes(name)) return '–';
  const outcome = outcomeOf(run.get(client.name), name);
  try {
    expectAnswer(client, name, outcome);
  } catch {
    return 'no';
  }
  if (SCENARIOS[name].operation !== 'embed') return 'yes';
  return `yes, ${String(outcome.requests[0]?.body.encoding_format ?? 'no format')}`;
}

function streamsUsage(run: Run, client: RealClient): boolean {
  const { answer } = outcomeOf(run.get(client.name), 'stream').reply;
  return answer?.usage !== undefined && answer.usage !== null;
}

function countsTable(run: Run): string {
  const titles = ERROR_NAMES.map((name) => `${SCENARIOS[name].title}: ${SCENARIOS[name].status}`);
  const rows = CLIENTS.map(({ name, title }) => [
    title,
    ...ERROR_NAMES.map((error) => String(outcomeOf(run.get(name), error).requests.length)),
  ]);
  return table([['client', ...titles], ...rows]);
}

/** One table for all clients that see the same. */
function seenTables(run: Run): string[] {
  const titlesOf = new Map<string, string[]>();
  for (const client of CLIENTS) {
    const seen = ERROR_NAMES.map((name) => [titleOf(name), seenIn(outcomeOf(run.get(client.name), name))]);
    const text = table([['error', 'what the program sees'], ...seen]);
    titlesOf.set(text, [...(titlesOf.get(text) ?? []), client.title]);
  }
  return [...titlesOf].flatMap(([text, titles]) => [`### ${titles.join(', ')}`, text]);
}

function titleOf(name: ErrorName): string {
  return SCENARIOS[name].title;
}

/** A Markdown table with its columns aligned, as the formatter of this repository wants it. */
function table(rows: readonly (readonly string[])[]): string {
  const [head = []] = rows;
  const widths = head.map((_, column) => Math.max(3, ...rows.map((row) => row[column]?.length ?? 0)));
  const line = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`;
  const [first, ...rest] = rows.map((row) =>
    line(row.map((cell, column) => cell.padEnd(widths[column] ?? 0))),
  );
  return [first, line(widths.map((width) => '-'.repeat(width))), ...rest].join('\n');
}
