import 'reflect-metadata';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { RequestMethod, type Type } from '@nestjs/common';
import { BillingDashboardController } from './self-service/billing-dashboard.controller.js';
import { KeyController } from './self-service/key.controller.js';
import { ChatCompletionsController } from './http/chat-completions.controller.js';
import { CompletionsController } from './http/completions.controller.js';
import { EmbeddingsController } from './http/embeddings.controller.js';
import { allowedMethods } from './http/known-paths.js';
import { ModelsController } from './http/models.controller.js';

const CONTROLLERS: readonly Type[] = [
  ChatCompletionsController,
  CompletionsController,
  EmbeddingsController,
  ModelsController,
  KeyController,
  BillingDashboardController,
];

const document: { openapi: string; paths: Record<string, Record<string, unknown>>; components: object } =
  JSON.parse(readFileSync(join(__dirname, '../../../docs/api/openapi.json'), 'utf8'));

/** Routes below /v1 as `METHOD path`, parameters as stars. */
function builtRoutes(): string[] {
  return CONTROLLERS.flatMap((controller) => {
    const { prototype }: { prototype: object } = controller;
    return Object.getOwnPropertyNames(prototype).flatMap((name) => {
      const handler: unknown = Reflect.get(prototype, name);
      if (typeof handler !== 'function') return [];
      const method: RequestMethod | undefined = Reflect.getMetadata('method', handler);
      if (method === undefined) return [];
      const parts: string[] = [Reflect.getMetadata('path', controller), Reflect.getMetadata('path', handler)];
      const path = parts.map((part) => part.replace(/^\/|\/$/g, '')).filter((part) => part !== '');
      return [`${RequestMethod[method]} /${path.join('/').replace(/:\w+/g, '*')}`];
    });
  }).filter((route) => route.includes(' /v1/'));
}

function documentedRoutes(): string[] {
  return Object.entries(document.paths).flatMap(([path, item]) =>
    Object.keys(item).map((method) => `${method.toUpperCase()} ${path.replace(/\{\w+\}/g, '*')}`),
  );
}

/** Every `$ref` of a part of the document. */
function referencesIn(part: unknown): string[] {
  if (typeof part !== 'object' || part === null) return [];
  return Object.entries(part).flatMap(([name, value]: [string, unknown]) =>
    name === '$ref' ? [String(value)] : referencesIn(value),
  );
}

/** What a reference within the document points at. */
function target(reference: string): unknown {
  const names = reference.replace(/^#\//, '').split('/');
  return names.reduce<unknown>(
    (part, name) => (typeof part === 'object' && part !== null ? Reflect.get(part, name) : undefined),
    document,
  );
}

describe('docs/api/openapi.json', () => {
  it('documents the routes below /v1 that are built, and no others', () => {
    expect(document.openapi).toMatch(/^3\.1\./);
    expect(documentedRoutes().sort()).toEqual(builtRoutes().sort());
  });

  it('documents the methods that a path is known with', () => {
    for (const [path, item] of Object.entries(document.paths)) {
      const known = allowedMethods(path.replace(/\{\w+\}/g, 'x')) ?? [];
      const documented = Object.keys(item).map((method) => method.toUpperCase());
      expect([path, known.filter((method) => method !== 'HEAD')]).toEqual([path, documented]);
    }
  });

  it('refers to nothing that it does not define, and defines nothing that it does not use', () => {
    const references = [...new Set(referencesIn(document))];
    expect(references.filter((reference) => target(reference) === undefined)).toEqual([]);
    const defined = Object.entries(document.components).flatMap(([kind, parts]) =>
      kind === 'securitySchemes' ? [] : Object.keys(parts).map((name) => `#/components/${kind}/${name}`),
    );
    expect(defined.filter((reference) => !references.includes(reference))).toEqual([]);
  });
});
