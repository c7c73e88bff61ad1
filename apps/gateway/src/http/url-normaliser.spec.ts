import { LINEAR_GROWTH_MAX, timeGrowth } from '@tollgate/testing';
import fc from 'fast-check';
import { normaliseUrl } from './url-normaliser.js';

const LEGACY = 'legacy-model';

describe('normaliseUrl', () => {
  // The forms that clients were observed to send.
  it.each([
    ['/v1/chat/completions', '/v1/chat/completions'],
    ['/chat/completions', '/v1/chat/completions'],
    ['/v1//chat/completions', '/v1/chat/completions'],
    ['//chat/completions', '/v1/chat/completions'],
    ['//v1/chat/completions', '/v1/chat/completions'],
    ['/v1/chat/completions/', '/v1/chat/completions'],
    ['/v1/v1/chat/completions', '/v1/chat/completions'],
    ['/v1/v1/v1/chat/completions', '/v1/chat/completions'],
    ['/openai/v1/chat/completions', '/v1/chat/completions'],
    ['/v1/openai/v1/chat/completions', '/v1/chat/completions'],
    ['/openai/models?api-version=2024-10-21', '/openai/models?api-version=2024-10-21'],
    [
      '/v1/v1/dashboard/billing/usage?start_date=2023-05-01&end_date=2023-05-31',
      '/v1/dashboard/billing/usage?start_date=2023-05-01&end_date=2023-05-31',
    ],
    ['/dashboard/billing/usage', '/v1/dashboard/billing/usage'],
    ['/dashboard/billing/subscription', '/v1/dashboard/billing/subscription'],
    ['/index.php/api/v1/dashboard/billing/credit_grants', '/v1/dashboard/billing/credit_grants'],
    ['/index.php/api/v1/chat/completions', '/v1/chat/completions'],
    ['/index.php/api/v1/completions', '/v1/completions'],
    ['/index.php/api/v1/images/generations', '/v1/images/generations'],
    ['/index.php/api/v1/embeddings', '/v1/embeddings'],
    ['/api/v1/chat/completions', '/v1/chat/completions'],
    ['/v1/v1/messages', '/v1/messages'],
    ['/v1/messages?beta=true', '/v1/messages?beta=true'],
    ['/v1/fim/completions', '/v1/fim/completions'],
    ['/v1/rerank', '/v1/rerank'],
    ['/v1/chat/completions/v1/chat/completions', '/v1/chat/completions'],
    ['/v1/chat/completions/chat/completions', '/v1/chat/completions'],
    ['/v1/chat/completions/models', '/v1/models'],
    ['/chat/completions/v1/embeddings', '/v1/embeddings'],
    ['/v1/chat/completions/v1/dashboard/billing/usage?a=//b', '/v1/dashboard/billing/usage?a=//b'],
    ['/models', '/v1/models'],
    ['/engines', '/v1/engines'],
    ['/v1/engines/davinci', '/v1/engines/davinci'],
    ['/', '/'],
    ['//', '/'],
    ['/index.php', '/'],
    ['/v1', '/v1'],
    ['/v1/', '/v1'],
    ['http://gateway.example:8080/v1/models?x=1', '/v1/models?x=1'],
    ['http://gateway.example', '/'],
    ['/v1/models/gpt#fragment', '/v1/models/gpt'],
    ['/v1/%63hat/completions', '/v1/chat/completions'],
  ])('brings %s to %s', (url, expected) => {
    expect(normaliseUrl(url)).toEqual({ url: expected, pathModel: null });
  });

  it.each([
    ['chat/completions', '/v1/chat/completions'],
    ['completions', '/v1/completions'],
    ['embeddings', '/v1/embeddings'],
    ['edits', '/v1/edits'],
  ])('takes the model out of /v1/engines/{model}/%s, below the one in the body', (endpoint, path) => {
    const pathModel = { name: LEGACY, overridesBody: false };
    expect(normaliseUrl(`/v1/engines/${LEGACY}/${endpoint}`)).toEqual({ url: path, pathModel });
    expect(normaliseUrl(`//engines/${LEGACY}/${endpoint}/?x=1`)).toEqual({ url: `${path}?x=1`, pathModel });
  });

  it.each([
    'chat/completions',
    'completions',
    'embeddings',
    'audio/transcriptions',
    'audio/translations',
    'audio/speech',
    'images/generations',
    'images/edits',
    'batches',
  ])('takes the deployment out of /openai/deployments/{d}/%s, above the one in the body', (endpoint) => {
    for (const slashes of ['/', '//', '/v1/']) {
      const url = `${slashes}openai/deployments/my-gpt/${endpoint}?api-version=2024-10-21`;
      expect(normaliseUrl(url)).toEqual({
        url: `/v1/${endpoint}?api-version=2024-10-21`,
        pathModel: { name: 'my-gpt', overridesBody: true },
      });
    }
  });

  it.each([
    ['/v1/engines/some/model:free/chat/completions', 'some/model:free'],
    ['/openai/deployments/some%2Fmodel/chat/completions', 'some/model'],
    ['/openai/deployments/a%20b/completions', 'a b'],
    ['/openai/deployments/a%zzb/completions', 'a%zzb'],
  ])('reads the name of the model in %s', (url, name) => {
    expect(normaliseUrl(url).pathModel?.name).toBe(name);
  });

  it.each([
    '/v1/models/openrouter/x/chat:free',
    '/v1/models/ft:gpt-4o:acme::id',
    '/v1/models/some/completions',
    '/v1/chat/completions/chatcmpl-1/messages',
    '/v1/responses/resp_1/input_items',
    '/v1/responses/input_tokens',
    '/v1/key',
    '/v1/usage',
    '/v1/generations/req_0123',
    '/v1/dashboard/billing/credit_grants',
    '/v1beta/models/gemini-pro:generateContent?key=k',
    '/openai/deployments',
    '/openai/deployments/my-gpt',
    '/v1/unknown',
    '/chatter/completions',
    '/indexed.php/v1/models',
    '/apis/v1/models',
    '/admin/v1/accounts',
    '/favicon.ico',
  ])('leaves %s as it is', (url) => {
    expect(normaliseUrl(url)).toEqual({ url, pathModel: null });
  });
});

describe('normalising a URL', () => {
  const piece = fc.oneof(
    fc.constantFrom('/', '//', '/v1', '/api', '/openai', '/index.php', '/chat/completions', '/completions'),
    fc.constantFrom(
      '/embeddings',
      '/models',
      '/engines/m',
      '/deployments/d',
      '/dashboard/billing/usage',
      '/v1beta',
    ),
    fc.constantFrom(
      '%',
      '%61',
      '%2',
      '%2F',
      '%zz',
      '%25',
      '#',
      '?',
      '&api-version=1',
      'http://h',
      '..',
      ':',
      '*',
    ),
    fc.string({ maxLength: 6, unit: 'binary' }),
    fc.string({ maxLength: 6 }),
  );
  const anyUrl = fc.array(piece, { maxLength: 12 }).map((pieces) => pieces.join(''));
  const pathOf = (url: string): string => url.split('?', 1)[0] ?? '';

  it('never fails, always begins with one slash and never leaves two', () => {
    fc.assert(
      fc.property(anyUrl, (url) => {
        const path = pathOf(normaliseUrl(url).url);
        expect(path.startsWith('/')).toBe(true);
        expect(path).not.toContain('//');
        expect(path === '/' || !path.endsWith('/')).toBe(true);
      }),
      { numRuns: 3_000 },
    );
  });

  it('comes to the same when it is done twice', () => {
    fc.assert(
      fc.property(anyUrl, (url) => {
        const once = normaliseUrl(url);
        expect(normaliseUrl(once.url)).toEqual({ url: once.url, pathModel: null });
      }),
      { numRuns: 3_000 },
    );
  });

  it('keeps the query as it was sent', () => {
    fc.assert(
      fc.property(anyUrl, fc.webQueryParameters(), (url, query) => {
        expect(normaliseUrl(`${pathOf(url)}?${query}`).url.endsWith(`?${query}`)).toBe(true);
      }),
    );
  });

  it.each([
    '/v1',
    '/completions',
    '/openai/v1',
    '/index.php/api',
    '/',
    '/v1/engines/x',
    '%%%33',
    '/completions/v1',
  ])('takes no longer for a long run of %s', (part) => {
    const url = (bytes: number) => part.repeat(Math.ceil(bytes / part.length));
    const known = (bytes: number) => `${url(bytes)}/chat/completions`;
    expect(timeGrowth(normaliseUrl, url, 512)).toBeLessThan(LINEAR_GROWTH_MAX);
    expect(timeGrowth(normaliseUrl, known, 512)).toBeLessThan(LINEAR_GROWTH_MAX);
  });
});
