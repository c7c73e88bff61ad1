// Does with the generated client what an operator's own program does first: an account, a key, a top-up, and the same
// top-up again. Compiled against the generated types: what the document promises must be what this file expects.
//
// Usage: node dist/compiled/client.mjs <origin of the admin API> <operator token>. Prints one line of JSON.
/* eslint-disable no-restricted-imports -- the client is made by the spec, right before it compiles this file */
import process from 'node:process';
import { createClient } from './dist/generated/client/index.js';
import { createAccount, createApiKey, readAccount, topUpAccount } from './dist/generated/index.js';

const [, , origin = '', token = ''] = process.argv;
const client = createClient({ baseUrl: origin, auth: token });

const account = await createAccount({
  client,
  throwOnError: true,
  body: { name: 'From a generated client' },
});
const path = { id: account.data.id };
const key = await createApiKey({ client, throwOnError: true, path, body: { name: 'generated' } });

const topUp = {
  client,
  throwOnError: /** @type {const} */ (true),
  path,
  headers: { 'Idempotency-Key': `generated-${path.id}` },
  body: { amount: '12.5', reference: 'invoice-1' },
};
const first = await topUpAccount(topUp);
const again = await topUpAccount(topUp);
const refused = await topUpAccount({ ...topUp, throwOnError: false, body: { amount: '13' } });
const read = await readAccount({ client, throwOnError: true, path });

/** @type {string} */
const balance = read.data.balance.posted;
console.log(
  JSON.stringify({
    accountId: account.data.id,
    key: key.data.key,
    statuses: [first.response.status, again.response.status],
    transferIds: [first.data.transfer.id, again.data.transfer.id],
    replayed: again.response.headers.get('idempotent-replayed'),
    refusal: refused.error?.code,
    balance,
  }),
);
