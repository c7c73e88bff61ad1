import { randomUUID } from 'node:crypto';

/** The operator's side of a test: the admin API over HTTP. */
export class AdminApi {
  constructor(
    private readonly origin: string,
    private readonly operatorToken: string,
  ) {}

  /** @throws Error with the problem document of a refusal. */
  async get(path: string): Promise<any> {
    return this.call('GET', path);
  }

  async post(path: string, body: unknown): Promise<any> {
    return this.call('POST', path, body);
  }

  /** An account with so many credits and a key of its own. */
  async openAccount(credits: string): Promise<{ accountId: string; apiKey: string }> {
    const account = await this.post('/accounts', { name: `account ${randomUUID()}` });
    if (credits !== '0') await this.post(`/accounts/${account.id}/top-ups`, { amount: credits });
    const key = await this.post(`/accounts/${account.id}/api-keys`, { name: 'test' });
    return { accountId: account.id, apiKey: key.key };
  }

  /** A model that is sold at these rates and served by the upstream. */
  async sellModel(
    model: string,
    upstream: { baseUrl: string },
    rates = { input: '1', output: '2' },
  ): Promise<void> {
    await this.post('/models', { id: model });
    await this.post('/prices', { model, rates });
    await this.post('/deployments', {
      name: `deployment of ${model}`,
      provider: 'openai',
      baseUrl: upstream.baseUrl,
      credential: 'upstream-secret',
      models: [{ model }],
    });
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

  private async pages(path: string): Promise<any[]> {
    const rows: any[] = [];
    const joint = path.includes('?') ? '&' : '?';
    for (let cursor: string | null = ''; cursor !== null;) {
      const page: any = await this.get(`${path}${joint}limit=200${cursor === '' ? '' : `&cursor=${cursor}`}`);
      rows.push(...page.data);
      cursor = page.nextCursor;
    }
    return rows;
  }

  private async call(method: string, path: string, body?: unknown): Promise<any> {
    const response = await fetch(`${this.origin}/admin/v1${path}`, {
      method,
      headers: {
        authorization: `Bearer ${this.operatorToken}`,
        ...(body !== undefined && { 'content-type': 'application/json', 'idempotency-key': randomUUID() }),
      },
      body: body === undefined ? null : JSON.stringify(body),
    });
    const answer: any = await response.json();
    if (!response.ok) throw new Error(`${method} ${path}: ${JSON.stringify(answer)}`);
    return answer;
  }
}
