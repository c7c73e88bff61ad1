import { DocumentBuilder, SwaggerModule, type OpenAPIObject } from '@nestjs/swagger';
import type { INestApplication } from '@nestjs/common';
import { readPackageVersion } from '../about/version.js';
import { completeOperation, type Method, type Schemas } from './operation.js';
import { ProblemResponses, problemSchema } from './problem-responses.js';
import { createSchemaConverter } from './schema-converter.js';

/** What a tag is called, by the name of its controller, and what it is about. */
const TAGS: Readonly<Record<string, { name: string; description: string }>> = {
  About: { name: 'About', description: 'This installation: its version and its health.' },
  Me: { name: 'Me', description: 'The operator whose token is sent.' },
  Accounts: { name: 'Accounts', description: 'Who owns credits and pays.' },
  ApiKeys: { name: 'API keys', description: 'What callers prove themselves with.' },
  Credits: { name: 'Credits', description: 'Credits that come to an account and leave it.' },
  Transfers: { name: 'Transfers', description: 'Every movement of credits there was.' },
  Models: { name: 'Models', description: 'The public names that callers ask for.' },
  Deployments: { name: 'Deployments', description: 'The upstreams that serve models.' },
  Prices: { name: 'Prices', description: 'What requests cost, from when on.' },
  Usage: { name: 'Usage', description: 'One record for each request.' },
  Reports: { name: 'Reports', description: 'Usage and revenue, summed.' },
  Audit: { name: 'Audit', description: 'Every change that an operator made.' },
  Settings: { name: 'Settings', description: 'What applies to the whole installation.' },
  OperatorTokens: { name: 'Operator tokens', description: 'Who may use this API.' },
  EscrowStops: { name: 'Escrow stops', description: 'Accounts whose books were found wrong.' },
  DeadLetters: { name: 'Dead letters', description: 'Usage events that could not be settled.' },
};

const HEADERS = {
  'x-request-id': {
    description: 'The id of this request. The log and the audit log have it too.',
    schema: { type: 'string' },
  },
  ETag: {
    description: 'Names the state of the resource: send it back as If-Match to change this state only.',
    schema: { type: 'string' },
  },
  'Idempotent-Replayed': { description: 'Nothing was done now.', schema: { type: 'string', enum: ['true'] } },
  'Retry-After': { description: 'Seconds until the same request may succeed.', schema: { type: 'string' } },
  'WWW-Authenticate': { description: 'How to send a token.', schema: { type: 'string' } },
} satisfies NonNullable<OpenAPIObject['components']>['headers'];

const METHODS: readonly Method[] = ['get', 'post', 'patch', 'put', 'delete'];
const SECURITY_SCHEME = 'operatorToken';

/**
 * The OpenAPI document of the admin API, made of what the application's handlers declare.
 *
 * @throws Error for a handler that does not say what it answers, or two schemas of one name: faults of the source.
 */
export function createAdminDocument(app: INestApplication): OpenAPIObject {
  const convertSchema = createSchemaConverter();
  const document = SwaggerModule.createDocument(app, baseDocument(), {
    operationIdFactory: operationId,
    standardSchemaConverter: convertSchema,
  });
  const schemas: Schemas = document.components?.schemas ?? {};
  Object.assign(schemas, convertSchema(problemSchema, { schemaType: 'output' })?.components);
  const problems = new ProblemResponses();
  const usedTags = new Set<string>();
  for (const path of Object.values(document.paths)) {
    for (const method of METHODS) {
      const operation = path[method];
      if (operation === undefined) continue;
      operation.tags = operation.tags?.map((controller) => tagOf(controller).name) ?? [];
      operation.tags.forEach((tag) => usedTags.add(tag));
      completeOperation(method, operation, { schemas, problems });
    }
  }
  return {
    ...document,
    tags: Object.values(TAGS).filter(({ name }) => usedTags.has(name)),
    components: {
      ...document.components,
      schemas: sorted(schemas),
      responses: sorted(problems.components),
      headers: HEADERS,
    },
  };
}

function baseDocument(): Omit<OpenAPIObject, 'paths'> {
  return new DocumentBuilder()
    .setOpenAPIVersion('3.1.0')
    .setTitle('Tollgate admin API')
    .setDescription('REST for the operators of a Tollgate installation.')
    .setVersion(readPackageVersion())
    .setLicense('MIT', 'https://spdx.org/licenses/MIT.html')
    .addServer('/')
    .addBearerAuth({ type: 'http', scheme: 'bearer', description: 'An operator token.' }, SECURITY_SCHEME)
    .addSecurityRequirements(SECURITY_SCHEME)
    .build();
}

function tagOf(controller: string): { name: string; description: string } {
  const tag = TAGS[controller];
  if (tag === undefined) throw new Error(`the controller ${controller} needs a tag in the OpenAPI document`);
  return tag;
}

/** `AccountsController.create` → `createAccount`, `ApiKeysController.listOfAccount` → `listApiKeysOfAccount`. */
function operationId(controller: string, method: string): string {
  const noun = controller.replace(/Controller$/, '');
  const [, verb = method, rest = ''] = /^([a-z]+)(.*)$/.exec(method) ?? [];
  return `${verb}${verb === 'list' || verb === 'export' ? noun : singular(noun)}${rest}`;
}

/** Settings are one thing. */
function singular(noun: string): string {
  return noun === 'Settings' ? noun : noun.replace(/s$/, '');
}

function sorted<Value>(byName: Readonly<Record<string, Value>>): Record<string, Value> {
  return Object.fromEntries(Object.entries(byName).sort(([a], [b]) => (a < b ? -1 : 1)));
}
