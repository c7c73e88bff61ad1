import { randomUUID } from 'node:crypto';
import { eventually } from '@tollgate/testing';
import type { LogCanaries } from './log-canaries.js';

/** The credential of every deployment that a test makes here. */
const UPSTREAM_CREDENTIAL = 'upstream-secret';
/** Answers in a row that show that each of two gateways behind one port knows a model. */
const GATEWAYS_ASKED = 4;
const SOLD_TIMEOUT_MS = 30_000;

/** Where the API is, and who calls. */
export interface AdminAccess {
  readonly adminUrl: string;
  readonly gatewayUrl: string;
  readonly operatorToken: string;
  readonly canaries: LogCanaries;
}

/** The operator's side of a test: the admin API over HTTP. */
export class AdminApi {
  constructor(private readonly access: AdminAccess) {}

  /** @throws Error with the problem document of a refusal. */
  async get(path: string): Promise<any> {
    return this.call('GET', path);
  }

  async post(path: string, body: unknown): Promise<any> {
    return this.call('POST', path, body);
  }

  async patch(path: string, body: unknown): Promise<any> {
    return this.call('PATCH', path, body);
  }

  async delete(path: string): Promise<void> {
    await this.call('DELETE', path);
  }

  /** An account with so many credits and a key of its own. */
  async openAccount(credits: string): Promise<{ accountId: string; apiKey: string }> {
    const account = await this.post('/accounts', { name: `account ${randomUUID()}` });
    if (credits !== '0') await this.post(`/accounts/${account.id}/top-ups`, { amount: credits });
    const key = await this.post(`/accounts/${account.id}/api-keys`, { name: 'test' });
    return { accountId: account.id, apiKey: key.key };
  }

  /** A model that is sold at these rates and served by the upstream, and that the gateways know of. */
  async sellModel(
    model: string,
    upstream: { baseUrl: string },
    rates: object = { input: '1', output: '2' },
  ): Promise<void> {
    await this.offerModel(model);
    await this.post('/prices', { model, rates });
    await this.deploy(model, upstream);
    const { apiKey } = await this.openAccount('0');
    await this.untilSold(model, apiKey);
  }

  /** A model with these details, new or, in an installation that serves several spec files, known already. */
  async offerModel(model: string, details: object = {}): Promise<void> {
    const known: any[] = await this.pages('/models');
    if (known.some(({ id }) => id === model)) {
      await this.patch(`/models/${encodeURIComponent(model)}`, details);
    } else await this.post('/models', { id: model, ...details });
  }

  /** A deployment of a model on an upstream, with these members changed. */
  async deploy(model: string, upstream: { baseUrl: string }, members: object = {}): Promise<any> {
    return this.post('/deployments', {
      name: `deployment of ${model}`,
      provider: 'openai',
      baseUrl: upstream.baseUrl,
      credential: UPSTREAM_CREDENTIAL,
      models: [{ model }],
      ...members,
    });
  }

  /** Waits until all gateways sell a model to the holder of this key. */
  async untilSold(model: string, apiKey: string): Promise<void> {
    await eventually(async () => {
      for (let asked = 0; asked < GATEWAYS_ASKED; asked += 1) {
        const { status } = await fetch(`${this.access.gatewayUrl}/v1/models/${encodeURIComponent(model)}`, {
          // Each on a connection of its own: a proxy takes the gateways in turn by connection.
          headers: { authorization: `Bearer ${apiKey}`, connection: 'close' },
        });
        if (status !== 200) throw new Error(`${model} is not sold: ${status}`);
      }
    }, SOLD_TIMEOUT_MS);
  }

  /** All items of a list, newest first. */
  async pages(path: string): Promise<any[]> {
    const rows: any[] = [];
    const joint = path.includes('?') ? '&' : '?';
    for (let cursor: string | null = ''; cursor !== null;) {
      const page: any = await this.get(`${path}${joint}limit=200${cursor === '' ? '' : `&cursor=${cursor}`}`);
      rows.push(...page.data);
      cursor = page.nextCursor;
    }
    return rows;
  }

  async balance(
    accountId: string,
  ): Promise<{ posted: string; held: string; available: string; floor: string }> {
    return (await this.get(`/accounts/${accountId}`)).balance;
  }

  /** All transfers of an account, newest first. */
  async transfers(accountId: string): Promise<any[]> {
    return this.pages(`/accounts/${accountId}/transfers`);
  }

  /** All usage rows of an account, newest first. */
  async usage(accountId: string): Promise<any[]> {
    return this.pages(`/usage?accountId=${accountId}`);
  }

  private async call(method: string, path: string, body?: unknown): Promise<any> {
    const { adminUrl, canaries, operatorToken } = this.access;
    canaries.watch(operatorToken);
    canaries.watchJson(body);
    const response = await fetch(`${adminUrl}/admin/v1${path}`, {
      method,
      headers: {
        authorization: `Bearer ${operatorToken}`,
        ...(body !== undefined && { 'content-type': 'application/json', 'idempotency-key': randomUUID() }),
      },
      body: body === undefined ? null : JSON.stringify(body),
    });
    const text = await response.text();
    if (!response.ok) throw new Error(`${method} ${path}: ${text}`);
    const answer: any = text === '' ? undefined : JSON.parse(text);
    canaries.watchJson(answer);
    return answer;
  }
}
