import { randomUUID } from 'node:crypto';
import { request as httpRequest } from 'node:http';
import { requestIdToWire } from '@tollgate/contracts';
import { createPool } from '@tollgate/persistence';
import { MasterKey, type RunningProcess } from '@tollgate/runtime';
import {
  createTestDatabase,
  seedInstallation,
  type SeededInstallation,
  type TestDatabase,
} from '@tollgate/testing';
import * as fc from 'fast-check';
import type { Pool } from 'pg';
import { v7 as uuidv7 } from 'uuid';
import { bootGateway } from '../boot.js';
import { gatewayConfigSchema } from '../gateway.config.js';

// Real: Postgres, the gateway on a socket.

const masterKey = MasterKey.generate();

let database: TestDatabase;
let gateway: RunningProcess;
let baseUrl: string;
let owner: Pool;
let seeded: SeededInstallation;

beforeAll(async () => {
  database = await createTestDatabase();
  owner = createPool({ url: database.ownerUrl, max: 2, name: 'spec-owner' });
  seeded = await seed();
  const config = { PORT: '0', DATABASE_URL: database.appUrl, MASTER_KEY: masterKey, LOG_LEVEL: 'silent' };
  gateway = await bootGateway(gatewayConfigSchema.parse(config));
  baseUrl = await (gateway.app as unknown as { getUrl(): Promise<string> }).getUrl();
});

afterAll(async () => {
  await gateway?.app.close();
  await owner?.end();
  await database?.drop();
});

const seed = () => seedInstallation({ ownerUrl: database.ownerUrl, masterKey, upstreams: [] });

const PATHS = [
  '/v1/key',
  '/v1/usage',
  `/v1/generations/${requestIdToWire(uuidv7())}`,
  '/v1/dashboard/billing/subscription',
  '/v1/dashboard/billing/usage',
  '/v1/dashboard/billing/credit_grants',
];

async function refusalOf(path: string, options: { key?: string; method?: string }) {
  const { key, method = 'GET' } = options;
  const headers = new Headers();
  if (key !== undefined) headers.set('authorization', `Bearer ${key}`);
  const response = await fetch(`${baseUrl}${path}`, { method, headers });
  const { error }: any = await response.json();
  expect(Object.keys(error).sort()).toEqual(['code', 'message', 'param', 'type']);
  expect(response.headers.get('x-request-id')).toMatch(/^req_[0-9a-f]{32}$/);
  return { status: response.status, code: error.code, allow: response.headers.get('allow') };
}

/** A key that would work, but for one change. */
async function keyWith(change: string): Promise<string> {
  const { apiKey, apiKeyId } = await seed();
  await owner.query(`UPDATE tollgate.api_key SET ${change} WHERE id = $1`, [apiKeyId]);
  return apiKey;
}

describe('every path', () => {
  it.each(PATHS)('needs a key that works: %s', async (path) => {
    expect(await refusalOf(path, {})).toMatchObject({ status: 401, code: null });
    const unknown = { status: 401, code: 'invalid_api_key' };
    expect(await refusalOf(path, { key: 'sk-wrong' })).toMatchObject(unknown);
    const revoked = await keyWith("status = 'revoked'");
    expect(await refusalOf(path, { key: revoked })).toMatchObject(unknown);
    for (const change of ["status = 'disabled'", "expires_at = now() - interval '1 second'"]) {
      const refusal = await refusalOf(path, { key: await keyWith(change) });
      expect(refusal).toMatchObject({ status: 401, code: 'account_deactivated' });
    }
  });

  it.each(PATHS)('tells a wrong method: %s', async (path) => {
    const refusal = await refusalOf(path, { key: seeded.apiKey, method: 'DELETE' });
    const allow = path.endsWith('credit_grants') ? 'GET, HEAD, POST' : 'GET, HEAD';
    expect(refusal).toEqual({ status: 405, code: 'method_not_supported', allow });
  });
});

/** Sends a request target as it is, which `fetch` would tidy up. */
function statusOf(target: string, method: string): Promise<number> {
  const { hostname, port } = new URL(baseUrl);
  const headers = { authorization: `Bearer ${seeded.apiKey}` };
  return new Promise((resolve, reject) => {
    httpRequest({ hostname, port, path: target, method, headers }, (response) => {
      response.resume().once('end', () => resolve(response.statusCode ?? 0));
    })
      .once('error', reject)
      .end();
  });
}

describe('garbage', () => {
  const bytes = fc
    .uint8Array({ maxLength: 40 })
    .map((part) => Buffer.from(part).toString('hex').replace(/../g, '%$&'));
  const value = fc.oneof(
    fc.constantFrom(
      '',
      '%00',
      '%ED%A0%80',
      '%zz',
      '%',
      '0',
      '-1',
      '1e9',
      '9'.repeat(400),
      '2026-11-21',
      '2026-2-30',
    ),
    fc.constantFrom(
      'NaN',
      '0000-00-00',
      '-271821-04-20',
      '275760-09-13',
      '9999-12-31T23:59:60Z',
      'req_',
      '+',
      '[]',
    ),
    fc.constantFrom(requestIdToWire(uuidv7()), randomUUID(), '00000000-0000-0000-0000-000000000000'),
    fc
      .string({ unit: 'binary', maxLength: 60 })
      .map((text) => encodeURIComponent(text.replace(/\p{Surrogate}/gu, ''))),
    fc.date({ noInvalidDate: true }).map((date) => encodeURIComponent(date.toISOString())),
    fc.date({ noInvalidDate: true }).map((date) => encodeURIComponent(date.toISOString().slice(0, 10))),
    fc.bigInt().map(String),
    bytes,
  );
  const name = fc.oneof(
    fc.constantFrom(
      'limit',
      'cursor',
      'model',
      'from',
      'to',
      'start_date',
      'end_date',
      'limit[]',
      '__proto__',
    ),
    fc.constantFrom('constructor', 'toString', 'scope', 'limit', 'from', 'to', 'start_date', 'end_date'),
    bytes,
  );
  const query = fc.array(
    fc.tuple(name, value).map(([key, text]) => `${key}=${text}`),
    { maxLength: 4 },
  );

  it('in a query is never a fault of ours', async () => {
    const seen = new Set<number>();
    await fc.assert(
      fc.asyncProperty(fc.constantFrom(...PATHS), query, async (path, parts) => {
        const status = await statusOf(`${path}?${parts.join('&')}`, 'GET');
        seen.add(status);
        expect(status).toBeLessThan(500);
      }),
      { seed: 20261121, numRuns: 1_500 },
    );
    // Garbage that is always refused at the door would prove nothing about the rooms behind it.
    expect([...seen].sort()).toEqual(expect.arrayContaining([200, 400, 404]));
  });

  it('in a path is never a fault of ours', async () => {
    const tail = fc.oneof(
      value,
      fc.tuple(value, value).map((parts) => parts.join('/')),
    );
    const head = fc.constantFrom('/v1/generations/', '/v1/dashboard/billing/', '/v1/key/', '/v1/usage');
    await fc.assert(
      fc.asyncProperty(head, tail, fc.constantFrom('GET', 'POST', 'HEAD'), async (path, text, method) => {
        expect(await statusOf(`${path}${text}`, method)).toBeLessThan(500);
      }),
      { seed: 20261121, numRuns: 500 },
    );
  });
});
