import { OPERATOR_TOKEN_USE, makeOperatorToken } from '@tollgate/persistence';
import type { MasterKey } from '@tollgate/runtime';
import type { Client } from 'pg';
import type { MigrateConfig } from './migrate.config.js';

/** What `operator:reset` replaces where no name is given. */
const NAME = 'First run';

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

/**
 * What the operator reads once: commands that can be pasted as they stand, once the upstream is filled in. They are those of
 * docs/first-model.md.
 */
export function firstOperatorText(config: MigrateConfig, token: string): string {
  const admin = `${config.ADMIN_URL}/admin/v1`;
  return `
Tollgate is set up. This operator token is shown this once, only its hash is stored:

  Operator token ${token}

Next: a model with its price and deployment, an account with credits and a key, a request (docs/first-model.md says more).
Put in your upstream's key, then paste:

  export TOKEN=${token}
  ADMIN=${admin} GATEWAY=${config.GATEWAY_URL}
  UPSTREAM=https://api.openai.com/v1 UPSTREAM_KEY=sk-… UPSTREAM_MODEL=gpt-4o-mini MODEL=gpt-4o-mini
  post() { curl -sS "$ADMIN$1" -H "Authorization: Bearer $TOKEN" -H 'Content-Type: application/json' \\
    -H "Idempotency-Key: $(date +%s%N)" -d "$2"; echo; }
  field() { sed -n 's/.*"'"$1"'":"\\([^"]*\\)".*/\\1/p'; }
  post /models '{"id": "'"$MODEL"'"}'
  post /prices '{"model": "'"$MODEL"'", "rates": {"input": "0.15", "output": "0.6"}}'
  post /deployments '{"name": "'"$MODEL"'", "baseUrl": "'"$UPSTREAM"'", "credential": "'"$UPSTREAM_KEY"'",
    "models": [{"model": "'"$MODEL"'", "upstreamModel": "'"$UPSTREAM_MODEL"'"}]}'
  ACCOUNT=$(post /accounts '{"name": "Ada"}' | field id)
  export KEY=$(post "/accounts/$ACCOUNT/api-keys" '{"name": "first"}' | field key)
  post "/accounts/$ACCOUNT/top-ups" '{"amount": "5"}'
  echo "account $ACCOUNT has the API key $KEY (shown this once)"
  sleep 2 # the gateways hear of it within a second
  curl -sS "$GATEWAY/v1/chat/completions" -H "Authorization: Bearer $KEY" -H 'Content-Type: application/json' \\
    -d '{"model": "'"$MODEL"'", "messages": [{"role": "user", "content": "What is a tollgate?"}]}'

The gateway answers under ${config.GATEWAY_URL}/v1, the admin API under ${admin} (pages: ${config.ADMIN_URL}/admin/docs).

`;
}
