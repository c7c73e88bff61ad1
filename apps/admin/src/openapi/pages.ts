import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import type { OpenAPIObject } from '@nestjs/swagger';
import type { FastifyInstance } from 'fastify';

export const DOCUMENT_PATH = '/admin/openapi.json';
const PAGES_PATH = '/admin/docs';
/** Where people look first: a browser has no token to send, and these know nothing but the way to the pages. */
const WAYS_TO_PAGES = ['/', '/admin', `${PAGES_PATH}/`];

/** Nothing but files of this server: no inline script or style, no other host, no frame around it. */
const PAGE_POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self' data:",
  "connect-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join('; ');

/** The files of Swagger UI that its page needs, with their types. */
const UI_FILES = {
  'swagger-ui.css': 'text/css; charset=utf-8',
  'swagger-ui-bundle.js': 'text/javascript; charset=utf-8',
  'favicon-32x32.png': 'image/png',
} as const;

const PAGE = `<!doctype html>
<html lang="en">
  <head>
    <meta charset="utf-8" />
    <meta name="viewport" content="width=device-width, initial-scale=1" />
    <title>Tollgate admin API</title>
    <link rel="icon" type="image/png" href="${PAGES_PATH}/favicon-32x32.png" />
    <link rel="stylesheet" href="${PAGES_PATH}/swagger-ui.css" />
  </head>
  <body>
    <div id="swagger-ui"></div>
    <script src="${PAGES_PATH}/swagger-ui-bundle.js"></script>
    <script src="${PAGES_PATH}/start.js"></script>
  </body>
</html>
`;

/** A token that is typed into "Authorize" stays in the page's memory: it is gone when the page is. */
const START_SCRIPT = `SwaggerUIBundle(${JSON.stringify({
  url: DOCUMENT_PATH,
  dom_id: '#swagger-ui',
  deepLinking: true,
  persistAuthorization: false,
  validatorUrl: null,
})});
`;

/**
 * Serves the document and pages that show it. Both are public: they are part of the source, know nothing of this
 * installation, and a generator of clients or a browser has no token to send. What they describe needs one.
 */
export function serveDocument(fastify: FastifyInstance, makeDocument: () => OpenAPIObject): void {
  let documentText: string | undefined;
  const serve = (path: string, type: string, read: () => string | Promise<Buffer>): void => {
    fastify.get(path, { config: { isPublic: true } }, async (_request, reply) =>
      reply.headers({ 'content-type': type, 'content-security-policy': PAGE_POLICY }).send(await read()),
    );
  };
  serve(
    DOCUMENT_PATH,
    'application/json; charset=utf-8',
    () => (documentText ??= JSON.stringify(makeDocument())),
  );
  serve(PAGES_PATH, 'text/html; charset=utf-8', () => PAGE);
  serve(`${PAGES_PATH}/start.js`, 'text/javascript; charset=utf-8', () => START_SCRIPT);
  for (const path of WAYS_TO_PAGES) {
    fastify.get(path, { config: { isPublic: true } }, (_request, reply) => reply.redirect(PAGES_PATH, 308));
  }
  for (const [name, type] of Object.entries(UI_FILES)) {
    serve(`${PAGES_PATH}/${name}`, type, () => readFile(join(swaggerUiFolder(), name)));
  }
}

/** Swagger UI comes with `@nestjs/swagger`, so that is where it is looked for. */
function swaggerUiFolder(): string {
  const swagger = createRequire(import.meta.url).resolve('@nestjs/swagger');
  return dirname(createRequire(swagger).resolve('swagger-ui-dist/package.json'));
}
