import { DEMO_MODEL } from './demo-upstream/demo-model.js';
import { LIST_PRICES_DATE } from './first-run/list-prices-2026-11.js';
import type { DemoAccount } from './first-run/first-run.js';
import type { FirstRunResult, SetUpResult } from './first-run/set-up.js';
import { isEveryAddress, type ProcessSpecs } from './processes/process-specs.js';

/** Where everything is. */
export interface Places {
  readonly specs: ProcessSpecs;
  /** The address that gateway, admin and billing listen on. */
  readonly host: string;
  /** Port of the embedded Postgres, null if the database is the operator's own. */
  readonly postgresPort: number | null;
  readonly dataDir: string;
  readonly logDir: string;
  readonly openaiBaseUrl: string;
}

/** What the operator reads when everything is up. Only a first run has secrets to show. */
export function banner(places: Places, result: SetUpResult): string {
  const sections = [describePlaces(places)];
  if (isEveryAddress(places.host)) sections.push(describeHost(places));
  if (result.openaiModels !== null) sections.push(describeOpenAi(places.openaiBaseUrl, result.openaiModels));
  if (result.firstRun !== null) sections.push(describeFirstRun(places.specs, result.firstRun));
  sections.push('Ctrl-C stops everything.');
  return `\n${sections.join('\n\n')}\n`;
}

function describePlaces(places: Places): string {
  const { postgresPort, specs } = places;
  const rows: [string, string][] = [
    ['Gateway', `${specs.gateway.origin}/v1`],
    ['Admin', `${specs.admin.origin}/admin/v1`],
    ['Admin pages', `${specs.admin.origin}/admin/docs`],
    ['Billing', `${specs.billing.origin}/health/ready`],
    ['Demo upstream', specs.demoUpstream === null ? 'off' : `${specs.demoUpstream.origin}/v1`],
    ['Postgres', postgresPort === null ? 'your own (DATABASE_URL)' : `127.0.0.1:${postgresPort}`],
    ['Data', places.dataDir],
    ['Logs', places.logDir],
  ];
  const lines = rows.map(([name, place]) => `  ${name.padEnd(15)}${place}`);
  return ['Tollgate is up.', '', ...lines].join('\n');
}

function describeHost({ host }: Places): string {
  return [
    `HOST is ${host}: gateway, admin and billing listen on every address of this machine, without TLS.`,
    'The addresses above are those from this machine. The demo upstream and the embedded Postgres are reached from here alone.',
  ].join('\n');
}

function describeOpenAi(baseUrl: string, models: readonly string[]): string {
  if (models.length === 0) {
    return `Registered ${baseUrl}, but it has none of the listed models: add its models and prices through the admin.`;
  }
  return [
    `Registered ${baseUrl} with ${models.join(', ')}.`,
    `Their prices are list prices as of ${LIST_PRICES_DATE}: check them before you sell.`,
  ].join('\n');
}

function describeFirstRun(specs: ProcessSpecs, { operatorToken, demo }: FirstRunResult): string {
  if (demo !== null) return describeDemo(specs, operatorToken, demo);
  return `First run: this secret is shown this once. Keep it, only its hash is stored.

  Operator token ${operatorToken}

How to sell a first model is in docs/first-model.md.`;
}

function describeDemo(specs: ProcessSpecs, operatorToken: string, demo: DemoAccount): string {
  const { apiKey, accountId } = demo;
  return `First run: these secrets are shown this once. Keep them, only their hashes are stored.

  Operator token ${operatorToken}
  API key        ${apiKey}
                 of the account "Demo", which has 5 credits (id ${accountId})

Ask the demo model (with "stream": true the answer comes in pieces):

  curl -N ${specs.gateway.origin}/v1/chat/completions \\
    -H "Authorization: Bearer ${apiKey}" \\
    -H "Content-Type: application/json" \\
    -d '{"model": "${DEMO_MODEL}", "messages": [{"role": "user", "content": "Hello, who are you?"}]}'

See what it cost:

  curl ${specs.admin.origin}/admin/v1/accounts/${accountId}/transfers \\
    -H "Authorization: Bearer ${operatorToken}"`;
}
