import { OPERATOR_TOKEN_USE, makeOperatorToken } from '@tollgate/persistence';
import type { MasterKey } from '@tollgate/runtime';
import type { Client } from 'pg';
import type { MigrateConfig } from './migrate.config.js';

const NAME = 'first operator';

/**
 * Makes the first operator token where there never was one. It is printed before it is committed: what is printed and not
 * valid is made anew by the next run, what is valid and not printed would be lost.
 */
export async function makeFirstOperator(options: {
  owner: Client;
  masterKey: MasterKey;
  print: (token: string) => void;
}): Promise<void> {
  const { owner, masterKey, print } = options;
  await owner.query('BEGIN');
  // Two runs at once would both find none.
  await owner.query('LOCK TABLE tollgate.operator_token IN SHARE ROW EXCLUSIVE MODE');
  const { rowCount } = await owner.query('SELECT FROM tollgate.operator_token LIMIT 1');
  if (rowCount === 0) {
    const made = await makeOperatorToken((text, params) => owner.query(text, params), {
      name: NAME,
      access: 'full',
      hashToken: (token) => masterKey.hashSecret(OPERATOR_TOKEN_USE, token),
    });
    print(made.token);
  }
  await owner.query('COMMIT');
}

/** What the operator reads once. */
export function firstOperatorText(config: MigrateConfig, token: string): string {
  const admin = `${config.ADMIN_URL}/admin/v1`;
  return `
Tollgate is set up. This operator token is shown this once, only its hash is stored:

  Operator token ${token}

Next: a model with its price and deployment, an account with a key and credits.

  export TOKEN=${token}
  post() { curl -sS "${admin}$1" -H "Authorization: Bearer $TOKEN" -H 'Content-Type: application/json' \\
    -H "Idempotency-Key: $(date +%s%N)" -d "$2"; echo; }
  post /models      '{"id": "gpt-4o-mini"}'
  post /prices      '{"model": "gpt-4o-mini", "rates": {"input": "0.15", "output": "0.6"}}'
  post /deployments '{"name": "openai", "provider": "openai", "baseUrl": "https://api.openai.com/v1",
    "credential": "<key>", "models": [{"model": "gpt-4o-mini"}]}'
  post /accounts    '{"name": "Ada"}'
  post /accounts/<id>/top-ups  '{"amount": "5"}'
  post /accounts/<id>/api-keys '{"name": "first"}'

The gateway answers under ${config.GATEWAY_URL}/v1, the admin API under ${admin} (pages: ${config.ADMIN_URL}/admin/docs).

`;
}
