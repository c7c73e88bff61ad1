import { readFileSync } from 'node:fs';
import type { OpenAPIObject } from '@nestjs/swagger';
import { Validator } from '@seriousme/openapi-schema-validator';
import { PROBLEMS } from '../http/problem.js';
import { describeAdminApi } from '../offline-document.js';

const GUIDE_FILE = new URL('../../../../docs/api/admin.md', import.meta.url);
const DOCUMENT_FILE = new URL('../../../../docs/api/admin-openapi.json', import.meta.url);

let document: OpenAPIObject;
beforeAll(async () => {
  // As it is served: what JSON cannot carry is not in the document.
  document = JSON.parse(JSON.stringify(await describeAdminApi()));
});

const operations = () =>
  Object.entries(document.paths).flatMap(([path, item]) =>
    (['get', 'post', 'patch', 'put', 'delete'] as const).flatMap((method) => {
      const operation = item[method];
      return operation === undefined ? [] : [{ name: `${method} ${path}`, method, operation }];
    }),
  );

describe('the OpenAPI document of the admin API', () => {
  it('is valid OpenAPI 3.1, and every reference leads somewhere', async () => {
    const validator = new Validator();
    expect(await validator.validate(JSON.parse(JSON.stringify(document)))).toEqual({ valid: true });
    expect(validator.version).toBe('3.1');
  });

  it('is what docs/api/admin-openapi.json has: else run npm run openapi', () => {
    const written: unknown = JSON.parse(readFileSync(DOCUMENT_FILE, 'utf8'));
    expect(written).toEqual(document);
  });

  it('gives every operation one name, a summary and a tag that is described', () => {
    const ids = operations().map(({ operation }) => operation.operationId);
    expect(new Set(ids).size).toBe(ids.length);
    const tags = new Set(document.tags?.map(({ name }) => name));
    for (const { name, operation } of operations()) {
      expect([name, operation.summary]).toEqual([name, expect.stringMatching(/^[A-Z].{3,}/)]);
      expect(operation.tags?.every((tag) => tags.has(tag))).toBe(true);
    }
  });

  it('names every body and every answer that is JSON, so that generated clients have a type for it', () => {
    for (const { name, operation } of operations()) {
      const texts = [operation.requestBody, ...Object.values(operation.responses)].map((part) =>
        JSON.stringify(part),
      );
      const inline = texts.filter((text) => /"application\/json":\{"schema":\{(?!"\$ref")/.test(text ?? ''));
      expect([name, inline]).toEqual([name, []]);
    }
  });

  it('has its operations and codes told in docs/api/admin.md', () => {
    const guide = readFileSync(GUIDE_FILE, 'utf8');
    const untold = operations()
      .map(({ method, name }) => `${method.toUpperCase()} ${name.slice(method.length + ' /admin/v1'.length)}`)
      .filter((call) => !guide.includes(`\`${call}\``) && !guide.includes(`\`${call}?`));
    expect(untold).toEqual([]);
    expect(Object.keys(PROBLEMS).filter((code) => !guide.includes(`\`${code}\``))).toEqual([]);
  });

  it('requires an operator token everywhere and says so with each refusal', () => {
    expect(document.security).toEqual([{ operatorToken: [] }]);
    expect(document.components?.securitySchemes).toMatchObject({
      operatorToken: { type: 'http', scheme: 'bearer' },
    });
    for (const { name, method, operation } of operations()) {
      const statuses = Object.keys(operation.responses);
      expect([name, statuses]).toEqual([name, expect.arrayContaining(['400', '401', '422', '500', '503'])]);
      expect([name, statuses.includes('403')]).toEqual([name, method !== 'get']);
    }
  });

  it('describes money as strings of one form, in requests as in answers', () => {
    const amount = { $ref: '#/components/schemas/Amount' };
    expect(document.components?.schemas).toMatchObject({
      Amount: { type: 'string', pattern: String.raw`^-?\d{1,10}(\.\d{1,9})?$` },
      TopUpAccountRequest: { properties: { amount } },
      Transfer: { properties: { amount, balanceAfter: amount } },
      Balance: { properties: { posted: amount, held: amount, available: amount, floor: amount } },
      CreatePriceRequest: {
        properties: { rates: { properties: { input: { $ref: '#/components/schemas/Rate' } } } },
      },
    });
  });

  it('describes requests as they are sent and not as they are read', () => {
    const { CreateApiKeyRequest: request } = document.components?.schemas ?? {};
    expect(request).toMatchObject({
      required: ['name'],
      properties: { expiresAt: { anyOf: [{ type: 'string', format: 'date-time' }, { type: 'null' }] } },
      additionalProperties: false,
    });
    const [limit] = document.paths['/admin/v1/accounts']?.get?.parameters ?? [];
    expect(limit).toMatchObject({
      name: 'limit',
      required: false,
      schema: { type: 'integer', minimum: 1, maximum: 200, default: 50 },
    });
  });

  it('has the headers of money calls and of conditional changes', () => {
    const { '/admin/v1/accounts/{id}/top-ups': topUps, '/admin/v1/accounts/{id}': account } = document.paths;
    expect(topUps?.post).toMatchObject({
      parameters: expect.arrayContaining([
        expect.objectContaining({ in: 'header', name: 'Idempotency-Key', required: true }),
      ]),
      responses: {
        '200': { headers: { 'Idempotent-Replayed': {} } },
        '201': { headers: { 'x-request-id': {} } },
        '409': { $ref: expect.stringContaining('IdempotencyKeyReused') },
        '428': { $ref: expect.stringContaining('IdempotencyKeyMissing') },
      },
    });
    expect(account?.patch).toMatchObject({
      parameters: expect.arrayContaining([expect.objectContaining({ in: 'header', name: 'If-Match' })]),
      requestBody: { content: { 'application/json': {}, 'application/merge-patch+json': {} } },
      responses: { '200': { headers: { ETag: {} } }, '412': {} },
    });
  });
});
