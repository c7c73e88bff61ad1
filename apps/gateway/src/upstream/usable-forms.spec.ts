import { parseChatRequest, parseCompletionRequest } from '@tollgate/openai';
import { chatForm, completionByChatForm, completionForm } from '@tollgate/providers';
import type { Deployment } from '../routing/catalog.js';
import { refused } from './attempts.js';
import { UsableForms, isLackOfApi, lacksApi } from './usable-forms.js';

const completion = parseCompletionRequest({ model: 'm', prompt: 'a' });
const echoing = parseCompletionRequest({ model: 'm', prompt: 'a', echo: true });
const chat = parseChatRequest({ model: 'm', messages: [{ role: 'user', content: 'hi' }] });

function deployment(apis: readonly string[] | null): Deployment {
  return {
    id: 'd',
    name: 'd',
    origin: 'http://upstream.test',
    basePath: '/v1',
    credential: '',
    upstreamModel: 'm',
    apis,
    priority: 0,
    weight: 1,
    firstByteTimeoutMs: 1_000,
    forwardTraceContext: false,
  };
}

function bothForms() {
  const byChat = completionByChatForm(completion);
  return [completionForm(completion), ...(byChat === null ? [] : [byChat])];
}

describe('UsableForms', () => {
  it('believes a deployment that says which APIs it has', () => {
    const forms = new UsableForms();
    expect(forms.usable(deployment(['chat']), bothForms()).map(({ api }) => api)).toEqual(['chat']);
    expect(forms.usable(deployment([]), bothForms())).toEqual([]);
  });

  it('remembers what a deployment turned out to lack, also for what no other API can do', () => {
    const forms = new UsableForms();
    const silent = deployment(null);
    expect(forms.usable(silent, bothForms())).toHaveLength(2);
    forms.rememberLack(silent, 'completions');
    expect(forms.usable(silent, bothForms()).map(({ api }) => api)).toEqual(['chat']);
    expect(forms.usable(silent, [completionForm(echoing)])).toEqual([]);
    expect(forms.usable(silent, [chatForm(chat)])).toHaveLength(1);
  });
});

describe('lacksApi', () => {
  it('names the parameter that needs the API, or else the model, and no fault of a server', () => {
    expect(lacksApi({ model: 'm', forms: [completionForm(echoing)] }).failure).toMatchObject({
      kind: 'caller',
      status: 400,
      code: 'unsupported_parameter',
      param: 'echo',
    });
    expect(lacksApi({ model: 'm', forms: [chatForm(chat)] }).failure).toMatchObject({
      status: 404,
      param: 'model',
      message: 'The model `m` is not supported in the v1/chat/completions endpoint.',
    });
  });
});

describe('isLackOfApi', () => {
  it('takes 404 and 405 for the lack of an API', () => {
    expect([404, 405, 400, 500].map((status) => isLackOfApi(refused(status, '')))).toEqual([
      true,
      true,
      false,
      false,
    ]);
  });
});
