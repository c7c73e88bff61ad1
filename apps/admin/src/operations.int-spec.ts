import { randomUUID } from 'node:crypto';
import { startAdmin, type AdminUnderTest } from './admin.spec-kit.js';
import { exampleIds, exampleOf, startWorld, type World } from './operation-examples.spec-kit.js';
import {
  operations,
  routesOf,
  send,
  wrongValue,
  type Call,
  type Operation,
  type Reply,
} from './operations.spec-kit.js';

const table = operations.map((operation) => [operation.id, operation] as const);
const only = (applies: (operation: Operation) => boolean) =>
  table.filter(([, operation]) => applies(operation));

let admin: AdminUnderTest;
let world: World;
let readToken: string;
beforeAll(async () => {
  admin = await startAdmin();
  world = await startWorld(admin);
  readToken = `operator-${randomUUID()}`;
  await admin.owner.query(
    "INSERT INTO tollgate.operator_token (id, name, access, token_hash) VALUES ($1, 'reader', 'read', $2)",
    [randomUUID(), admin.config.MASTER_KEY.hashSecret('operator-token', readToken)],
  );
});
afterAll(async () => {
  await world.stop();
  await admin.stop();
});

const prepare = (operation: Operation): Promise<Call> => exampleOf(operation).prepare(world);
const ask = (operation: Operation, call: Call, token: string | null = admin.token): Promise<Reply> =>
  send({ admin, token }, operation, call);
const pointersOf = ({ body }: Reply): string[] =>
  body.errors.map(({ pointer }: { pointer: string }) => pointer);

async function auditRowsOf(requestId: unknown): Promise<any[]> {
  const { rows } = await admin.owner.query('SELECT * FROM tollgate.audit_log WHERE request_id = $1', [
    requestId,
  ]);
  return rows;
}

async function countAuditRows(): Promise<number> {
  const { rows } = await admin.owner.query('SELECT count(*)::int AS count FROM tollgate.audit_log');
  return rows[0].count;
}

describe('every operation', () => {
  it('is a route of the router, and every route an operation', () => {
    expect(routesOf(admin).sort()).toEqual(operations.map(({ method, path }) => `${method} ${path}`).sort());
  });

  it('has an example, and every example an operation', () => {
    expect(exampleIds().sort()).toEqual(operations.map(({ id }) => id).sort());
  });

  it.each(table)('%s answers as the document says', async (_id, operation) => {
    const reply = await ask(operation, await prepare(operation));
    expect(reply).toMatchObject({ status: expect.any(Number) });
    expect([200, 201, 204]).toContain(reply.status);
  });

  it.each(table)('%s needs a token', async (_id, operation) => {
    const call = await prepare(operation);
    for (const token of [null, `operator-${randomUUID()}`]) {
      expect(await ask(operation, call, token)).toMatchObject({
        status: 401,
        body: { code: 'unauthorized' },
      });
    }
  });

  it.each(table)('%s refuses an unknown query parameter', async (_id, operation) => {
    const { query, ...call } = await prepare(operation);
    const reply = await ask(operation, { ...call, query: { ...query, unknownParameter: '1' } });
    expect(reply).toMatchObject({ status: 422, body: { code: 'validation_failed' } });
    expect(pointersOf(reply)).toEqual(['/unknownParameter']);
  });

  it.each(only(({ changes }) => !changes))('%s is for readers too', async (_id, operation) => {
    expect((await ask(operation, await prepare(operation), readToken)).status).toBe(200);
  });

  it.each(only(({ pathParameters }) => pathParameters.length > 0))(
    '%s does not find what is not there',
    async (_id, operation) => {
      const call = await prepare(operation);
      for (const id of [randomUUID(), '999999999999', 'no such id', '\u0000']) {
        const params = Object.fromEntries(operation.pathParameters.map((name) => [name, id]));
        expect(await ask(operation, { ...call, params })).toMatchObject({
          status: 404,
          body: { code: 'not_found' },
        });
      }
    },
  );
});

describe('every operation with a body', () => {
  const withBody = only(({ body }) => body !== null);

  it.each(withBody)('%s refuses an unknown field', async (_id, operation) => {
    const call = await prepare(operation);
    const reply = await ask(operation, { ...call, body: { ...call.body, 'un/known': 1 } });
    expect(reply).toMatchObject({ status: 422, body: { code: 'validation_failed' } });
    expect(pointersOf(reply)).toEqual(['/un~1known']);
  });

  it.each(withBody)('%s names the required field that is missing', async (_id, operation) => {
    const call = await prepare(operation);
    for (const name of operation.body?.required ?? []) {
      const { [name]: _left, ...body } = { ...call.body };
      const reply = await ask(operation, { ...call, body });
      expect([name, reply.status, reply.body.code]).toEqual([name, 422, 'validation_failed']);
      expect(pointersOf(reply)).toContain(`/${name}`);
    }
  });

  it.each(withBody)('%s names the field of a wrong type', async (_id, operation) => {
    const call = await prepare(operation);
    for (const [name, schema] of Object.entries(operation.body?.properties ?? {})) {
      const wrong = wrongValue(schema);
      if (wrong === null) throw new Error(`${operation.id}: every value is right for ${name}`);
      const reply = await ask(operation, { ...call, body: { ...call.body, [name]: wrong.value } });
      expect([name, reply.status, reply.body.code]).toEqual([name, 422, 'validation_failed']);
      expect(pointersOf(reply).every((pointer) => `${pointer}/`.startsWith(`/${name}/`))).toBe(true);
    }
  });

  it.each(withBody)('%s refuses a body that is no object', async (_id, operation) => {
    const { params = {} } = await prepare(operation);
    for (const payload of ['[]', '"text"', '1', 'null']) {
      const url = operation.path.replace(/\{(\w+)\}/g, (_match, name: string) =>
        encodeURIComponent(params[name] ?? ''),
      );
      const { statusCode } = await admin.app.inject({
        method: operation.method === 'patch' ? 'PATCH' : 'POST',
        url,
        headers: {
          authorization: `Bearer ${admin.token}`,
          'content-type': 'application/json',
          'idempotency-key': randomUUID(),
        },
        payload,
      });
      expect([payload, statusCode]).toEqual([payload, 422]);
    }
  });
});

describe('every operation that changes something', () => {
  const changing = only(({ changes }) => changes);

  it.each(changing)('%s is forbidden to readers', async (_id, operation) => {
    const call = await prepare(operation);
    const count = await countAuditRows();
    expect(await ask(operation, call, readToken)).toMatchObject({ status: 403, body: { code: 'forbidden' } });
    expect(await countAuditRows()).toBe(count);
  });

  it.each(changing)('%s writes one audit row, without a secret', async (_id, operation) => {
    const { action } = exampleOf(operation);
    const call = await prepare(operation);
    const reply = await ask(operation, call);
    const rows = await auditRowsOf(reply.headers['x-request-id']);
    expect(rows).toEqual([expect.objectContaining({ action, actor: 'operator:tester' })]);
    const { before, after, target } = rows[0];
    expect(target).toMatch(/^[a-z_]+(\/.+)?$/);
    if (operation.method === 'post') expect(after).not.toBeNull();
    else expect(before).not.toBeNull();
    if (operation.method === 'patch') expect(after).not.toEqual(before);
    for (const secret of secretsOf(call, reply)) expect(JSON.stringify(rows)).not.toContain(secret);
  });

  it.each(only(({ takesIfMatch }) => takesIfMatch))('%s honours If-Match', async (_id, operation) => {
    const call = await prepare(operation);
    const count = await countAuditRows();
    const refused = await ask(operation, { ...call, headers: { 'if-match': '"another-state"' } });
    expect(refused).toMatchObject({ status: 412, body: { code: 'precondition_failed' } });
    expect(await countAuditRows()).toBe(count);
    const read = await admin.app.inject({
      url: operation.path.replace(/\{(\w+)\}/g, (_match, name: string) =>
        encodeURIComponent(call.params?.[name] ?? ''),
      ),
      headers: { authorization: `Bearer ${admin.token}` },
    });
    const { status } = await ask(operation, {
      ...call,
      headers: { 'if-match': String(read.headers['etag']) },
    });
    expect([200, 204]).toContain(status);
  });
});

describe('every operation that moves money', () => {
  const money = only(({ movesMoney }) => movesMoney);

  it.each(money)('%s needs an Idempotency-Key', async (_id, operation) => {
    const call = await prepare(operation);
    const reply = await ask(operation, { ...call, headers: { 'idempotency-key': '' } });
    expect(reply).toMatchObject({ status: 428, body: { code: 'idempotency_key_missing' } });
  });

  it.each(money)('%s does once what is asked twice', async (_id, operation) => {
    const call = { ...(await prepare(operation)), headers: { 'idempotency-key': randomUUID() } };
    const transfers = async () =>
      (
        await admin.owner.query(
          'SELECT count(*)::int AS count FROM tollgate.transfer WHERE account_id = $1',
          [call.params?.['id']],
        )
      ).rows[0].count;
    const count = await transfers();
    const first = await ask(operation, call);
    const again = await ask(operation, call);
    expect([first.status, again.status]).toEqual([201, 200]);
    expect(again.body).toEqual(first.body);
    expect(again.headers['idempotent-replayed']).toBe('true');
    expect(await transfers()).toBe(count + 1);
    expect(await auditRowsOf(again.headers['x-request-id'])).toEqual([]);
    const other = await ask(operation, { ...call, body: { ...call.body, note: 'another body' } });
    expect(other).toMatchObject({ status: 409, body: { code: 'idempotency_key_reused' } });
    expect(await transfers()).toBe(count + 1);
  });
});

/** What only the answer that makes it may show, or what no answer may. */
function secretsOf({ body = {} }: Call, reply: Reply): string[] {
  const values: unknown[] = [body['credential'], reply.body?.key, reply.body?.token];
  return values.filter((value): value is string => typeof value === 'string');
}
