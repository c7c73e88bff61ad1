import { strict as assert } from 'node:assert';
import { eventually } from '@tollgate/testing';
import type { Pool } from 'pg';
import type { AdminApi } from '../installation/admin-api.js';
import { ACCOUNTS_WITH_HOLDS, violations } from '../installation/ledger-books.js';
import { RunningInstallation } from '../installation/running-installation.js';
import { exchange, open, requestBytes, type RawAnswer, type RawRequest } from './raw-http.js';
import { CANARY, ScriptedUpstream } from './scripted-upstream.js';

/** A request of a conformance test: JSON bodies are written, the key is sent unless headers say who calls. */
export interface Ask {
  readonly method?: string;
  readonly path?: string;
  readonly json?: unknown;
  readonly body?: string | Buffer;
  readonly chunks?: readonly Buffer[];
  readonly headers?: readonly (readonly [string, string])[];
  /** The API key to send as a bearer; null for none; the key of the usual account if nothing is said. */
  readonly key?: string | null;
}

export interface Answer extends RawAnswer {
  /** The id of the request as a UUID; empty where the answer has none. */
  readonly requestId: string;
  readonly text: string;
  /** The parsed body. */
  readonly json: any;
}

export const MODEL = 'gpt-4o';
const BOOKS_TIMEOUT_MS = 30_000;
const SETTLED_TIMEOUT_MS = 30_000;

/**
 * A whole installation, an upstream that does as it is told, and a client that keeps account of everything it saw. What
 * holds for every request is checked here for every request, and not by each test: `audit` after each test, `close`
 * after all.
 */
export class ConformanceBench {
  private readonly refusedIds = new Set<string>();
  private readonly seenIds = new Set<string>();
  /** Accounts that asked for something since the last audit. */
  private readonly active = new Set<string>();
  private readonly accountOfKey = new Map<string, string>();
  private problems: string[] = [];

  private constructor(
    readonly installation: RunningInstallation,
    readonly upstream: ScriptedUpstream,
    readonly admin: AdminApi,
    readonly database: Pool,
  ) {}

  /** The key of the usual account. */
  key = '';
  accountId = '';

  static async start(): Promise<ConformanceBench> {
    const installation = await RunningInstallation.start();
    const upstream = await ScriptedUpstream.start(installation.testHost);
    const bench = new ConformanceBench(installation, upstream, installation.admin(), installation.database());
    await bench.sell(MODEL, { upstreamModel: `gpt-4o-${CANARY}` });
    const { accountId, apiKey } = await bench.openAccount('100');
    bench.key = apiKey;
    bench.accountId = accountId;
    await bench.untilSold(MODEL);
    return bench;
  }

  /** Sells a model that is served by the scripted upstream. */
  async sell(
    model: string,
    options: { upstreamModel?: string; rates?: object; deployment?: object; details?: object } = {},
  ): Promise<void> {
    const { upstreamModel = model, rates = { input: '1', output: '2' }, deployment, details } = options;
    await this.admin.offerModel(model, details);
    await this.admin.post('/prices', { model, rates });
    await this.admin.deploy(model, this.upstream, {
      credential: `sk-${CANARY}-credential`,
      models: [{ model, upstreamModel }],
      ...deployment,
    });
  }

  /** Waits until the gateway knows a model. */
  async untilSold(model: string): Promise<void> {
    await this.admin.untilSold(model, this.key);
  }

  async openAccount(credits: string): Promise<{ accountId: string; apiKey: string }> {
    const account = await this.admin.openAccount(credits);
    this.accountOfKey.set(account.apiKey, account.accountId);
    return account;
  }

  /** Another key of the usual account. */
  async openKey(settings: object): Promise<{ id: string; key: string }> {
    const key = await this.admin.post(`/accounts/${this.accountId}/api-keys`, { name: 'test', ...settings });
    this.accountOfKey.set(key.key, this.accountId);
    return key;
  }

  get(path: string, ask: Omit<Ask, 'path'> = {}): Promise<Answer> {
    return this.ask({ ...ask, path, method: ask.method ?? 'GET' });
  }

  /** A chat request of one word to the usual model, with these members changed. */
  chat(members: Record<string, unknown> = {}, ask: Ask = {}): Promise<Answer> {
    return this.ask({ ...ask, json: chatBody(members) });
  }

  /** Sends a request, reads its answer to the end and keeps account of it. */
  async ask(ask: Ask): Promise<Answer> {
    const request = this.write(ask);
    const answer = await exchange(this.installation.gatewayUrl, request);
    return this.record(answer, request);
  }

  /** Sends a request and closes the connection when the answer so far satisfies the condition, or after a time. */
  async leave(ask: Ask, when: { sees?: string; afterMs?: number }): Promise<void> {
    const socket = open(this.installation.gatewayUrl);
    socket.on('error', () => undefined);
    socket.write(requestBytes(this.write(ask)));
    await new Promise<void>((resolve) => {
      let text = '';
      socket.on('data', (piece: Buffer) => {
        text += piece.toString('utf8');
        if (when.sees !== undefined && text.includes(when.sees)) resolve();
      });
      socket.once('close', () => resolve());
      if (when.afterMs !== undefined) setTimeout(resolve, when.afterMs);
    });
    socket.destroy();
  }

  /** The request as it goes out. */
  write(ask: Ask): RawRequest {
    const { path = '/v1/chat/completions', key = this.key, json } = ask;
    const body = json === undefined ? ask.body : JSON.stringify(json);
    const { method = body === undefined && ask.chunks === undefined ? 'GET' : 'POST' } = ask;
    const headers = [...(ask.headers ?? [])];
    const has = (name: string): boolean => headers.some(([given]) => given.toLowerCase() === name);
    if (key !== null && !has('authorization')) headers.push(['Authorization', `Bearer ${key}`]);
    if (json !== undefined && !has('content-type')) headers.push(['Content-Type', 'application/json']);
    this.active.add(this.accountOfKey.get(key ?? '') ?? this.accountId);
    return {
      method,
      path,
      headers,
      ...(body !== undefined && { body }),
      ...(ask.chunks !== undefined && { chunks: ask.chunks }),
    };
  }

  /** Keeps account of an answer that was read some other way. */
  record(raw: RawAnswer, request: RawRequest): Answer {
    const text = raw.body.toString('utf8');
    const requestId = (raw.headers['x-request-id'] ?? '').replace(
      /^req_(\w{8})(\w{4})(\w{4})(\w{4})(\w{12})$/,
      '$1-$2-$3-$4-$5',
    );
    const answer: Answer = { ...raw, requestId, text, json: parse(text) };
    const problems = [...problemsOf(answer), ...this.problemsOfId(answer)];
    const line = `${request.method ?? 'GET'} ${request.path} -> ${answer.status}`;
    this.problems.push(...problems.map((problem) => `${line}: ${problem}`));
    if (answer.status >= 400) this.refusedIds.add(requestId);
    return answer;
  }

  /** After each test: what it asked left nothing behind. */
  async audit(): Promise<void> {
    this.upstream.reset();
    const accounts = [...this.active].filter((id) => id !== '');
    this.active.clear();
    await this.untilNothingIsHeld(accounts);
    await this.expectNothingCharged();
    const problems = this.problems;
    this.problems = [];
    assert.deepEqual(problems, []);
  }

  /** After all tests: the books are right, and nothing was charged late. */
  async close(): Promise<void> {
    try {
      await this.untilSettled();
      await this.expectNothingCharged();
      assert.deepEqual(await violations(this.database), []);
    } finally {
      await this.database.end();
      await this.installation.discard();
      await this.upstream.stop();
    }
  }

  /** The usage row of a request, once it is there. */
  async usageOf(requestId: string): Promise<any> {
    return eventually(async () => {
      const { rows } = await this.database.query(
        'SELECT outcome, usage_source, units, cost::text AS cost, billable FROM tollgate.usage_record WHERE request_id = $1',
        [requestId],
      );
      assert.equal(rows.length, 1, `usage rows of ${requestId}`);
      return rows[0];
    }, SETTLED_TIMEOUT_MS);
  }

  /** All usage rows of an account, once there are so many. */
  async usageRows(accountId: string, count: number): Promise<any[]> {
    return eventually(async () => {
      const rows = await this.admin.usage(accountId);
      assert.equal(rows.length, count, `usage rows of the account ${accountId}`);
      return rows;
    }, SETTLED_TIMEOUT_MS);
  }

  private async untilNothingIsHeld(accounts: readonly string[]): Promise<void> {
    await eventually(
      async () => {
        const { rows } = await this.database.query(`${ACCOUNTS_WITH_HOLDS} AND a.id = ANY($1::uuid[])`, [
          accounts,
        ]);
        assert.deepEqual(rows, [], 'accounts with something held');
      },
      BOOKS_TIMEOUT_MS,
      25,
    );
  }

  private async untilSettled(): Promise<void> {
    await eventually(async () => {
      const { rows } = await this.database.query(
        "SELECT id FROM tollgate.reservation WHERE state <> 'closed' AND kind = 'request'",
      );
      assert.deepEqual(rows, [], 'open holds');
    }, SETTLED_TIMEOUT_MS);
  }

  private async expectNothingCharged(): Promise<void> {
    const ids = [...this.refusedIds].filter((id) => id.includes('-'));
    const { rows } = await this.database.query(
      `SELECT ref_id::text AS id, kind, amount::text FROM tollgate.transfer WHERE ref_id = ANY($1::uuid[])
       UNION ALL
       SELECT request_id::text, 'record', cost::text FROM tollgate.usage_record WHERE request_id = ANY($1::uuid[]) AND cost <> 0`,
      [ids],
    );
    assert.deepEqual(rows, [], 'refused or failed requests that were charged');
  }

  private problemsOfId({ requestId }: Answer): string[] {
    if (this.seenIds.has(requestId)) return ['its x-request-id was used before'];
    this.seenIds.add(requestId);
    return [];
  }
}

/** A chat request of one word to the usual model, with these members changed. */
export function chatBody(members: Record<string, unknown> = {}): Record<string, unknown> {
  return { model: MODEL, messages: [{ role: 'user', content: 'hi' }], ...members };
}

/** What is wrong with an answer, whatever was asked: an empty list for a good one. */
function problemsOf(answer: Answer): string[] {
  const { headers, status } = answer;
  const problems: string[] = [];
  const require = (holds: boolean, problem: string): void => {
    if (!holds) problems.push(problem);
  };
  require(/^req_[0-9a-f]{32}$/.test(headers['x-request-id'] ?? ''), 'no x-request-id of ours');
  require(headers['request-id'] === headers['x-request-id'], 'request-id is not x-request-id');
  require(!answer.bytes
    .toString('latin1')
    .toLowerCase()
    .includes(CANARY), 'a secret of the upstream is in it');
  require(status < 300 || status >= 400, 'it is a redirect');
  require(status !== 409, 'a 409 makes old clients ask for ever');
  require(answer.complete, 'it broke off');
  if (status === 200) require(!isObject(answer.json) || !('error' in answer.json), 'a 200 with an error');
  if (status < 400) return problems;
  return [...problems, ...problemsOfRefusal(answer)];
}

function problemsOfRefusal({ headers, json, status }: Answer): string[] {
  const error = isObject(json) && isObject(json.error) ? json.error : null;
  if (error === null) return ['its body is not the error envelope'];
  const problems: string[] = [];
  for (const name of ['message', 'type', 'param', 'code']) {
    if (!(name in error)) problems.push(`its error has no ${name}`);
  }
  if (typeof error.message !== 'string' || error.message === '') problems.push('its message is no text');
  if (typeof error.type !== 'string') problems.push('its type is no text');
  const retryAfter = headers['retry-after'];
  const isOutOfCredit = error.code === 'insufficient_quota';
  const isRetried = (status === 429 && !isOutOfCredit) || status === 503;
  if ((retryAfter !== undefined) !== isRetried) problems.push(`retry-after is ${retryAfter ?? 'missing'}`);
  if (retryAfter !== undefined && !/^([1-9]|[1-5]\d|60)$/.test(retryAfter)) {
    problems.push(`retry-after is ${retryAfter}`);
  }
  if (isOutOfCredit && headers['x-should-retry'] !== 'false') problems.push('it would be retried in vain');
  return problems;
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
