import { classifyFailure } from './upstream-error.js';

describe('classifyFailure', () => {
  it.each([
    [
      400,
      '{"error":{"message":"bad temperature","param":"temperature","code":"x"}}',
      'caller',
      'bad temperature',
    ],
    [401, '{"error":{"message":"Incorrect API key"}}', 'credential', 'Incorrect API key'],
    [402, '{"message":"pay"}', 'credential', 'pay'],
    [
      400,
      '{"error":{"message":"Your credit balance is too low"}}',
      'credential',
      'Your credit balance is too low',
    ],
    [429, '{"error":{"code":"insufficient_quota","message":"quota"}}', 'credential', 'quota'],
    [404, '{"error":{"code":"DeploymentNotFound","message":"gone"}}', 'credential', 'gone'],
    [429, '{"error":{"message":"slow down"}}', 'busy', 'slow down'],
    [503, 'upstream connect error', 'busy', ''],
    [500, '{"error":"boom"}', 'broken', 'boom'],
    [500, '{"errors":[{"message":"first"}]}', 'broken', 'first'],
    [404, '{"detail":"no such path"}', 'caller', 'no such path'],
  ])('classifies %i %s as %s', (status, body, kind, message) => {
    expect(classifyFailure(status, body)).toMatchObject({ kind, message, status });
  });

  it('takes secrets of the upstream out of what the caller may see', () => {
    const { message } = classifyFailure(
      400,
      JSON.stringify({
        error: {
          message:
            'key sk-abcDEF123456 of org-xyz123 at https://internal.host/v1 10.1.2.3:80 (req_0123) Bearer abc',
        },
      }),
    );
    expect(message).not.toMatch(/abcDEF|xyz123|internal\.host|10\.1\.2\.3|0123|Bearer abc/);
  });

  it('takes no code and no parameter from the upstream that holds a secret', () => {
    const error = { message: 'no', code: 'sk-abcDEF123456', param: 'org-xyz123' };
    expect(classifyFailure(400, JSON.stringify({ error }))).toMatchObject({ code: null, param: null });
    const honest = { message: 'no', code: 'invalid_value', param: 'messages[0].content' };
    expect(classifyFailure(400, JSON.stringify({ error: honest }))).toMatchObject({
      code: 'invalid_value',
      param: 'messages[0].content',
    });
  });
});
