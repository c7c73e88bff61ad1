import type { FastifyInstance } from 'fastify';

/** The routes of a server by path, to tell a wrong method (405) from an unknown path (404). */
export class KnownRoutes {
  private readonly methodsByPath = new Map<string, { pattern: RegExp; methods: Set<string> }>();

  /** Learns every route that is registered from now on. */
  watch(fastify: FastifyInstance): void {
    fastify.addHook('onRoute', ({ method, url }) => {
      const known = this.methodsByPath.get(url) ?? { pattern: patternOf(url), methods: new Set() };
      this.methodsByPath.set(url, known);
      for (const name of [method].flat()) known.methods.add(name);
    });
  }

  /** The methods that the path of a URL answers to, sorted; empty when it is no path of this server. */
  methodsOf(requestUrl: string): string[] {
    const path = requestUrl.split('?', 1)[0] ?? '';
    const methods = [...this.methodsByPath.values()]
      .filter(({ pattern }) => pattern.test(path))
      .flatMap((known) => [...known.methods]);
    return [...new Set(methods)].sort();
  }
}

/** A route's path in the router's syntax: `:name` is one segment, `::` is a colon. */
function patternOf(url: string): RegExp {
  const source = url
    .split('/')
    .map((segment) =>
      /^:[^:]/.test(segment) ? '[^/]+' : segment.replaceAll('::', ':').replace(/[.*+?^${}()|[\]\\]/g, '\\$&'),
    )
    .join('/');
  return new RegExp(`^${source}$`);
}
