import { readFileSync } from 'node:fs';
import { randomUUID } from 'node:crypto';
import type { OpenAPIObject } from '@nestjs/swagger';
import { z } from 'zod';
import type { AdminUnderTest } from './admin.spec-kit.js';

/** The document as it is published: `openapi/document.spec.ts` proves that it is what the source makes. */
export const document: OpenAPIObject = JSON.parse(
  readFileSync(new URL('../../../docs/api/admin-openapi.json', import.meta.url), 'utf8'),
);

const METHODS = ['get', 'post', 'patch', 'put', 'delete'] as const;
type Method = (typeof METHODS)[number];
type Described = NonNullable<OpenAPIObject['paths'][string]['get']>;

/** One operation of the document, in the words of its tests. */
export interface Operation {
  readonly id: string;
  readonly method: Method;
  readonly path: string;
  /** Whether it changes something, so that a `read` token may not call it. */
  readonly changes: boolean;
  /** Names of the path's parameters. */
  readonly pathParameters: readonly string[];
  /** By name; those in `required` first of all. Null where there is no body. */
  readonly body: {
    readonly required: readonly string[];
    readonly properties: Readonly<Record<string, object>>;
  } | null;
  readonly movesMoney: boolean;
  readonly takesIfMatch: boolean;
  readonly responses: Described['responses'];
}

/** What one call sends. */
export interface Call {
  readonly params?: Readonly<Record<string, string>>;
  readonly query?: Readonly<Record<string, string>>;
  readonly body?: Readonly<Record<string, unknown>>;
  readonly headers?: Readonly<Record<string, string>>;
}

export interface Reply {
  readonly status: number;
  readonly headers: Readonly<Record<string, unknown>>;
  readonly body: any;
}

function readOperation(path: string, method: Method, described: Described): Operation {
  const parameters = parametersSchema.parse(described.parameters ?? []);
  const named = (place: string): string[] =>
    parameters.filter((one) => one.in === place).map(({ name }) => name);
  const id = z.string().parse(described.operationId);
  return {
    id,
    method,
    path,
    changes: method !== 'get',
    pathParameters: named('path'),
    body: described.requestBody === undefined ? null : readBody(described.requestBody),
    movesMoney: named('header').includes('Idempotency-Key'),
    takesIfMatch: named('header').includes('If-Match'),
    responses: described.responses,
  };
}

const parametersSchema = z.array(z.object({ name: z.string(), in: z.string() }));
const bodySchema = z.object({
  content: z.object({ 'application/json': z.object({ schema: z.object({ $ref: z.string() }) }) }),
});
const objectSchema = z.object({
  required: z.array(z.string()).default([]),
  properties: z.record(z.string(), z.record(z.string(), z.unknown())),
});
const unionSchema = z.object({ oneOf: z.array(objectSchema) });

/** A union has the fields that all of its members have. */
function readBody(requestBody: unknown): Operation['body'] {
  const { $ref } = bodySchema.parse(requestBody).content['application/json'].schema;
  const schema = document.components?.schemas?.[$ref.split('/').at(-1) ?? ''];
  const union = unionSchema.safeParse(schema);
  const [first, ...others] = union.success ? union.data.oneOf : [objectSchema.parse(schema)];
  if (first === undefined) throw new Error(`${$ref} is a union of nothing`);
  const isCommon = (name: string): boolean => others.every(({ properties }) => name in properties);
  return {
    required: first.required.filter(isCommon),
    properties: Object.fromEntries(Object.entries(first.properties).filter(([name]) => isCommon(name))),
  };
}

/** Every operation of the document. */
export const operations: readonly Operation[] = Object.entries(document.paths).flatMap(([path, item]) =>
  METHODS.flatMap((method) => {
    const described = item[method];
    return described === undefined ? [] : [readOperation(path, method, described)];
  }),
);

/** The schemas of the document as definitions that `z.fromJSONSchema` can refer to. */
const definitions = JSON.parse(
  JSON.stringify(document.components?.schemas).replaceAll('#/components/schemas/', '#/$defs/'),
);

/** What a schema of the document allows. */
export function validatorOf(schema: object): z.ZodType {
  const local = JSON.parse(JSON.stringify(schema).replaceAll('#/components/schemas/', '#/$defs/'));
  return z.fromJSONSchema({ ...local, $defs: definitions });
}

/** Sends a call and holds its answer against the document: status, headers, media type and body. */
export async function send(
  { admin, token }: { admin: AdminUnderTest; token: string | null },
  operation: Operation,
  { params = {}, query = {}, body, headers = {} }: Call,
): Promise<Reply> {
  const path = operation.path.replace(/\{(\w+)\}/g, (_match, name: string) =>
    encodeURIComponent(z.string().parse(params[name])),
  );
  const answer = await admin.app.inject({
    method: z.enum(['GET', 'POST', 'PATCH', 'PUT', 'DELETE']).parse(operation.method.toUpperCase()),
    url: path,
    query: { ...query },
    headers: {
      ...(token !== null && { authorization: `Bearer ${token}` }),
      ...(operation.movesMoney && { 'idempotency-key': randomUUID() }),
      ...(body !== undefined && { 'content-type': 'application/json' }),
      ...headers,
    },
    ...(body !== undefined && { payload: JSON.stringify(body) }),
  });
  const isJson = /^application\/(problem\+)?json\b/.test(String(answer.headers['content-type']));
  const reply = {
    status: answer.statusCode,
    headers: answer.headers,
    body: isJson ? JSON.parse(answer.body) : answer.body,
  };
  expectDocumented(operation, reply);
  return reply;
}

const responseSchema = z.object({
  headers: z.record(z.string(), z.unknown()),
  content: z.record(z.string(), z.object({ schema: z.record(z.string(), z.unknown()) })).default({}),
});

function expectDocumented(operation: Operation, { status, headers, body }: Reply): void {
  const declared = operation.responses[String(status)];
  if (declared === undefined) {
    throw new Error(
      `${operation.id} answers ${status}, which is not in the document: ${JSON.stringify(body)}`,
    );
  }
  const response = responseSchema.parse(
    '$ref' in declared ? document.components?.responses?.[declared.$ref.split('/').at(-1) ?? ''] : declared,
  );
  const present = new Set(Object.keys(headers));
  const missing = Object.keys(response.headers).filter((name) => !present.has(name.toLowerCase()));
  expect({ id: operation.id, status, missing }).toEqual({
    id: operation.id,
    status,
    missing: optionalOf(missing),
  });
  if (present.has('etag')) expect(Object.keys(response.headers)).toContain('ETag');
  if (Object.keys(response.content).length === 0) {
    expect({ id: operation.id, body }).toEqual({ id: operation.id, body: '' });
    return;
  }
  const mediaType = String(headers['content-type']).split(';')[0] ?? '';
  expect(Object.keys(response.content)).toContain(mediaType);
  const schema = response.content[mediaType]?.schema;
  if (schema === undefined) throw new Error(`${operation.id} has no schema for ${mediaType}`);
  const issues = validatorOf(schema).safeParse(body).error?.issues ?? [];
  expect({ id: operation.id, status, issues }).toEqual({ id: operation.id, status, issues: [] });
}

/** Only refusals that may pass by themselves say when. */
function optionalOf(missing: readonly string[]): string[] {
  return missing.filter((name) => name === 'Retry-After');
}

/** A value that the schema of a field does not allow, or null if it allows all there is. */
export function wrongValue(schema: object): { value: unknown } | null {
  const allowed = validatorOf(schema);
  const candidates: unknown[] = [true, 42.5, { wrong: true }, ['wrong', 7], 'wrong type'];
  const value = candidates.find((candidate) => !allowed.safeParse(candidate).success);
  return value === undefined ? null : { value };
}

/** Every route of the API as the router knows it, in the document's words: `get /admin/v1/accounts/{id}`. */
export function routesOf({ app }: AdminUnderTest): string[] {
  const tree = app.getHttpAdapter().getInstance().printRoutes({ commonPrefix: false });
  const path: string[] = [];
  return tree.split('\n').flatMap((line) => {
    const branch = /^([│ ]*)[├└]── (\S*)(?: \(([A-Z, ]+)\))?/.exec(line);
    if (branch === null) return [];
    const [, indent = '', segment = '', methods = ''] = branch;
    path.splice(indent.length / 4, path.length, segment);
    const url = path.join('').replace(/\/:(\w+)/g, '/{$1}');
    return methods
      .toLowerCase()
      .split(', ')
      .filter((method) => url.startsWith('/admin/v1') && method !== '' && method !== 'head')
      .map((method) => `${method} ${url}`);
  });
}
