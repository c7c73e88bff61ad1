import { eventually, type FakeUpstream } from '@tollgate/testing';
import { RunningInstallation } from './installation/running-installation.js';
import {
  CHAT_AZURE,
  CHAT_OPENAI,
  CHAT_WITH_CODES,
  CHAT_WITHOUT_CODES,
  COMPLETION_AZURE,
  EMBEDDING,
  MODELS,
  differences,
} from './seed-samples/documented-answers.js';
import { hasCurl, readSample, runInShell, sendBytes, type Sender } from './seed-samples/sample.js';

// Every sample of the five documents that concerns text, sent as it is printed (e2e/seed-samples/README.md).

type Service = 'app4gpt' | 'chatkore' | 'apigpt-azure' | 'kuaiai' | 'xiaoyi';

interface Sample {
  /** Without its ending. */
  readonly file: string;
  readonly service: Service;
  readonly documented: object;
  /** Environment variable that the printed command takes the key from. */
  readonly variable?: string;
}

const CURL_SAMPLES: readonly Sample[] = [
  { file: '000-chat', service: 'app4gpt', documented: CHAT_OPENAI, variable: 'API_TOKEN' },
  { file: '001-chat', service: 'chatkore', documented: CHAT_OPENAI, variable: 'API_TOKEN' },
  { file: '002-chat-first', service: 'apigpt-azure', documented: CHAT_AZURE },
  { file: '002-chat', service: 'apigpt-azure', documented: CHAT_AZURE },
  { file: '002-completion', service: 'apigpt-azure', documented: COMPLETION_AZURE },
  { file: '002-embedding', service: 'apigpt-azure', documented: EMBEDDING },
  { file: '003-notes', service: 'kuaiai', documented: CHAT_WITHOUT_CODES },
  { file: '003-history', service: 'kuaiai', documented: CHAT_WITHOUT_CODES, variable: 'api_secret_key' },
  { file: '004-notes', service: 'xiaoyi', documented: CHAT_WITH_CODES },
  { file: '004-history', service: 'xiaoyi', documented: CHAT_WITH_CODES },
  { file: '004-completion', service: 'xiaoyi', documented: CHAT_WITH_CODES },
];

const OTHER_SAMPLES: readonly Sample[] = [
  { file: '000-models', service: 'app4gpt', documented: MODELS },
  { file: '000-chat-python', service: 'app4gpt', documented: CHAT_OPENAI },
  { file: '001-models', service: 'chatkore', documented: MODELS },
  { file: '001-chat-python', service: 'chatkore', documented: CHAT_OPENAI },
  { file: '001-embedding', service: 'chatkore', documented: EMBEDDING },
  { file: '002-chat-first-python', service: 'apigpt-azure', documented: CHAT_AZURE },
  { file: '002-chat-python', service: 'apigpt-azure', documented: CHAT_AZURE },
  { file: '002-completion-python', service: 'apigpt-azure', documented: COMPLETION_AZURE },
  { file: '002-embedding-python', service: 'apigpt-azure', documented: inBase64(EMBEDDING) },
  { file: '003-chat-python', service: 'kuaiai', documented: CHAT_WITHOUT_CODES },
  { file: '003-chat-php-json', service: 'kuaiai', documented: CHAT_WITHOUT_CODES },
  { file: '003-chat-php-form', service: 'kuaiai', documented: CHAT_WITHOUT_CODES },
  { file: '004-chat-python', service: 'xiaoyi', documented: CHAT_WITH_CODES },
  { file: '004-chat-php-json', service: 'xiaoyi', documented: CHAT_WITH_CODES },
  { file: '004-chat-php-form', service: 'xiaoyi', documented: CHAT_WITH_CODES },
];

const SAMPLES = [...CURL_SAMPLES, ...OTHER_SAMPLES];
const SERVICES: readonly Service[] = ['app4gpt', 'chatkore', 'apigpt-azure', 'kuaiai', 'xiaoyi'];
const CREDITS = '100';
const EMBEDDING_MODEL = 'text-embedding-ada-002';

/** Where one document breaks a command without saying so to the shell. */
const WITHOUT_BACKSLASH = /(?<!\\) *\n +-(?=[HX])/g;

let installation: RunningInstallation;
let upstream: FakeUpstream;
const accounts = new Map<Service, { accountId: string; apiKey: string }>();
/** Charged requests that each service's account sent. */
const sent = new Map<Service, number>();

beforeAll(async () => {
  installation = await RunningInstallation.start();
  upstream = await installation.startUpstream();
  const admin = installation.admin();
  await admin.sellModel('gpt-3.5-turbo', upstream, { input: '1', output: '2' });
  await admin.offerModel(EMBEDDING_MODEL);
  await admin.post('/prices', {
    model: EMBEDDING_MODEL,
    rates: { input: '0.25', output: '0' },
    minimumCharge: '4',
  });
  await admin.deploy(EMBEDDING_MODEL, upstream);
  for (const service of SERVICES) {
    // The fifth service's clients are known by their path: nothing is set for them.
    const dialect = service === 'xiaoyi' ? null : service;
    const account = await admin.post('/accounts', { name: service, dialect });
    await admin.post(`/accounts/${account.id}/top-ups`, { amount: CREDITS });
    const { key } = await admin.post(`/accounts/${account.id}/api-keys`, { name: 'sample' });
    accounts.set(service, { accountId: account.id, apiKey: key });
  }
  const { apiKey } = await admin.openAccount('0');
  await admin.untilSold(EMBEDDING_MODEL, apiKey);
});

afterAll(async () => {
  await installation?.discard();
  await upstream?.stop();
});

beforeEach(() => upstream.reset());

function inBase64(documented: typeof EMBEDDING): object {
  return { ...documented, data: documented.data.map((item) => ({ ...item, embedding: 'AACAPw==' })) };
}

function senderOf(service: Service): Sender {
  const account = accounts.get(service);
  if (account === undefined) throw new Error(`there is no account for ${service}`);
  return { origin: installation.gatewayUrl, key: account.apiKey };
}

async function expectDocumented({ service, documented }: Sample, answer: unknown): Promise<void> {
  expect(differences(documented, answer)).toEqual([]);
  if (documented === CHAT_WITHOUT_CODES) expect(answer).not.toHaveProperty('code');
  if (documented === CHAT_AZURE || documented === COMPLETION_AZURE) {
    expect(answer).toMatchObject({ model: 'gpt-35-turbo' });
  }
  if (documented !== MODELS) sent.set(service, (sent.get(service) ?? 0) + 1);
  expect(JSON.stringify(await upstream.deliveries())).not.toContain(senderOf(service).key);
}

async function behaveFor({ documented }: Sample): Promise<void> {
  if (documented === COMPLETION_AZURE) await upstream.behave({ finishReason: 'length', chunks: 7 });
}

describe('the bytes of a sample', () => {
  it.each(SAMPLES)('are answered as documented: $file', async (sample) => {
    await behaveFor(sample);
    const answer = await sendBytes(`${sample.file}.http`, senderOf(sample.service));
    expect(answer.status).toBe(200);
    expect(answer.head).toMatch(/^x-request-id: req_[0-9a-f]{32}$/im);
    await expectDocumented(sample, answer.body);
  });
});

describe('a printed command', () => {
  it.each(CURL_SAMPLES)('holds the body that its bytes send: $file', ({ file, service }) => {
    const sender = senderOf(service);
    const [, ...body] = readSample(`${file}.http`, sender).split('\n\n');
    expect(readSample(`${file}.sh`, sender)).toContain(body.join('\n\n'));
  });

  // The bytes above prove the same on a machine without these programs.
  if (!hasCurl()) return;

  it.each(CURL_SAMPLES)('run by a shell is answered as documented: $file', async (sample) => {
    await behaveFor(sample);
    const sender = senderOf(sample.service);
    const variables = sample.variable === undefined ? {} : { [sample.variable]: sender.key };
    const printed = readSample(`${sample.file}.sh`, sender);
    const command = printed.replace(WITHOUT_BACKSLASH, ' \\\n -');
    // A command without backslashes at its line ends sends nothing, as it is printed.
    if (command !== printed) expect(await runInShell(printed, variables)).toBe('');
    await expectDocumented(sample, JSON.parse(await runInShell(command, variables)));
  });

  it.each(['/api/v1', '/v1', '//index.php/api/v1/'])('is answered at %s too', async (path) => {
    const sample = { file: '004-history', service: 'xiaoyi', documented: CHAT_WITH_CODES } as const;
    const command = readSample('004-history.sh', senderOf('xiaoyi')).replace('/index.php/api/v1', path);
    await expectDocumented(sample, JSON.parse(await runInShell(command, {})));
  });
});

describe('the samples together', () => {
  it('were paid for once each, and nothing of them is held', async () => {
    const admin = installation.admin();
    for (const service of SERVICES) {
      const { accountId = '' } = accounts.get(service) ?? {};
      await eventually(async () => {
        const usage = await admin.usage(accountId);
        expect([service, usage.length]).toEqual([service, sent.get(service)]);
        const { posted, held } = await admin.balance(accountId);
        expect([service, held]).toEqual([service, '0']);
        const nano = (amount: string): number => Math.round(Number(amount) * 1e9);
        const cost = usage.reduce((sum, row) => sum + nano(row.cost), 0);
        expect(nano(posted)).toBe(nano(CREDITS) - cost);
        for (const row of usage) {
          expect(row.outcome).toBe('completed');
          if (row.model === EMBEDDING_MODEL) expect(row.cost).toBe('4');
        }
      }, 20_000);
    }
  });
});
