import type { OpenAPIObject } from '@nestjs/swagger';
import { IDEMPOTENCY_HEADER, IF_MATCH_HEADER, PROBLEMS_EXTENSION, SUCCESS } from '../http/openapi.js';
import { PROBLEMS, type ProblemCode } from '../http/problem.js';
import type { ProblemResponses } from './problem-responses.js';

type PathItem = OpenAPIObject['paths'][string];
export type Operation = NonNullable<PathItem['get']>;
type Parameter = Exclude<NonNullable<Operation['parameters']>[number], { $ref: string }>;
type RequestBody = Exclude<NonNullable<Operation['requestBody']>, { $ref: string }>;
type Response = Exclude<NonNullable<Operation['responses'][string]>, { $ref: string }>;
export type Schemas = NonNullable<NonNullable<OpenAPIObject['components']>['schemas']>;

export type Method = 'get' | 'post' | 'patch' | 'put' | 'delete';

/** What completes the operations of one document; what they share is collected in it. */
export interface SharedParts {
  readonly schemas: Schemas;
  readonly problems: ProblemResponses;
}

const JSON_TYPE = 'application/json';
const MERGE_PATCH_TYPE = 'application/merge-patch+json';
const REQUEST_ID_HEADER = { 'x-request-id': { $ref: '#/components/headers/x-request-id' } };
/** Whatever is asked for can meet these. */
const EVERYWHERE: readonly ProblemCode[] = [
  'malformed_request',
  'unauthorized',
  // At least for query parameters that nobody knows.
  'validation_failed',
  'internal_error',
  'query_timeout',
  'database_unavailable',
];

/**
 * Completes what the scanner found: the name of the body, the status of success, and every refusal, which follows from
 * what an operation takes.
 */
export function completeOperation(method: Method, operation: Operation, shared: SharedParts): void {
  const { operationId } = operation;
  if (operationId === undefined) throw new Error('an operation has no id');
  operation.summary ||= sentenceOf(operationId);
  const body =
    operation.requestBody === undefined ? null : withoutReference<RequestBody>(operation.requestBody);
  if (body !== null) {
    nameBody(method, body, { name: `${capitalised(operationId)}Request`, schemas: shared.schemas });
  }
  operation.responses = {
    ...successResponses(method, operation),
    ...shared.problems.refer(problemCodes(method, operation)),
  };
  Reflect.deleteProperty(operation, PROBLEMS_EXTENSION);
}

function nameBody(
  method: Method,
  body: RequestBody,
  { name, schemas }: { name: string; schemas: Schemas },
): void {
  const schema = body.content[JSON_TYPE]?.schema;
  if (schema === undefined) throw new Error(`${name} has no schema`);
  schemas[name] = schema;
  // A body with a default may be left out.
  body.required = !('default' in schema);
  const content = { schema: { $ref: `#/components/schemas/${name}` } };
  body.content = { [JSON_TYPE]: content, ...(method === 'patch' && { [MERGE_PATCH_TYPE]: content }) };
}

function successResponses(method: Method, operation: Operation): Record<string, Response> {
  const [declared] = Object.entries(operation.responses);
  if (declared === undefined || declared[1] === undefined) {
    throw new Error(`${operation.operationId} does not say what it answers: it needs @Answers`);
  }
  const success = withoutReference<Response>(declared[1]);
  const status = declared[0] === SUCCESS ? successStatus(method, success) : declared[0];
  const response = {
    ...success,
    description: success.description || 'Done.',
    headers: { ...REQUEST_ID_HEADER, ...success.headers },
  };
  if (!hasHeader(operation, IDEMPOTENCY_HEADER)) return { [status]: response };
  return {
    '200': {
      ...response,
      description: 'The call was made before: this is what was answered then, and nothing was done now.',
      headers: {
        ...response.headers,
        'Idempotent-Replayed': { $ref: '#/components/headers/Idempotent-Replayed' },
      },
    },
    [status]: response,
  };
}

function successStatus(method: Method, { content }: Response): string {
  if (content === undefined) return '204';
  return method === 'post' ? '201' : '200';
}

/** All codes that an operation can refuse with: its own, and those which come with what it takes. */
function problemCodes(method: Method, operation: Operation): Set<ProblemCode> {
  const parameters = (operation.parameters ?? []).map((parameter) => withoutReference<Parameter>(parameter));
  const codes = new Set(EVERYWHERE);
  const add = (applies: boolean, ...added: ProblemCode[]): void => {
    if (applies) for (const code of added) codes.add(code);
  };
  const hasBody = operation.requestBody !== undefined;
  add(method !== 'get', 'forbidden');
  add(
    parameters.some((parameter) => parameter.in === 'path'),
    'not_found',
  );
  add(hasBody, 'request_timeout', 'body_too_large', 'unsupported_media_type');
  add(hasHeader(operation, IDEMPOTENCY_HEADER), 'idempotency_key_missing', 'idempotency_key_reused');
  add(hasHeader(operation, IF_MATCH_HEADER), 'precondition_failed');
  for (const code of ownProblemCodes(operation)) codes.add(code);
  return codes;
}

function ownProblemCodes(operation: Operation): ProblemCode[] {
  const declared: unknown = Reflect.get(operation, PROBLEMS_EXTENSION);
  if (!Array.isArray(declared)) throw new Error(`${operation.operationId} needs @Answers`);
  return declared.filter((code): code is ProblemCode => typeof code === 'string' && code in PROBLEMS);
}

function hasHeader({ parameters = [] }: Operation, name: string): boolean {
  return parameters.some((parameter) => {
    const known = withoutReference<Parameter>(parameter);
    return known.in === 'header' && known.name === name;
  });
}

/** The scanner writes parameters, bodies and responses in place: it makes references to schemas alone. */
function withoutReference<Part extends object>(part: Part | { $ref: string }): Part {
  if ('$ref' in part) throw new Error('a part of an operation is a reference');
  return part;
}

/** `listApiKeys` → `List API keys`. */
function sentenceOf(operationId: string): string {
  const words = operationId.replace(/[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`);
  return capitalised(words).replace(/\bapi\b/g, 'API');
}

function capitalised(text: string): string {
  return text.slice(0, 1).toUpperCase() + text.slice(1);
}
