import { credentialsOf, maskKey } from './credential.js';

const basic = (text: string): string => `Basic ${Buffer.from(text).toString('base64')}`;

describe('credentialsOf', () => {
  it.each([
    [{ authorization: 'Bearer sk-1' }, ['sk-1']],
    [{ authorization: '  bearer   sk-1  ' }, ['sk-1']],
    [{ authorization: 'BEARER\tsk-1' }, ['sk-1']],
    [{ authorization: 'sk-1' }, ['sk-1']],
    [{ authorization: ' sk-1 ' }, ['sk-1']],
    [{ authorization: basic(':sk-1') }, ['sk-1']],
    [{ authorization: basic('user:sk:1') }, ['sk:1']],
    [{ authorization: basic('sk-1') }, []],
    [{ 'api-key': 'sk-2' }, ['sk-2']],
    [{ 'x-api-key': 'sk-3' }, ['sk-3']],
    [{ 'x-goog-api-key': 'sk-4' }, ['sk-4']],
    [
      { 'sec-websocket-protocol': 'realtime, openai-insecure-api-key.sk-5, openai-beta.realtime-v1' },
      ['sk-5'],
    ],
    [{ 'sec-websocket-protocol': 'realtime' }, []],
    [{ 'sec-websocket-protocol': 'openai-insecure-api-key.' }, []],
  ])('reads %j', (headers, expected) => {
    expect(credentialsOf({ headers, url: '/v1/models' })).toEqual(expected);
  });

  it('tries them in this order', () => {
    const headers = {
      'sec-websocket-protocol': 'openai-insecure-api-key.sk-5',
      'x-goog-api-key': 'sk-4',
      'x-api-key': 'sk-3',
      'api-key': 'sk-2',
      authorization: 'Bearer sk-1',
    };
    expect(credentialsOf({ headers, url: '/v1/models' })).toEqual(['sk-1', 'sk-2', 'sk-3', 'sk-4', 'sk-5']);
  });

  it.each([
    [{ authorization: 'Bearer sk-1', 'api-key': '', 'x-api-key': 'sk-3' }, ['sk-1', 'sk-3']],
    [{ authorization: 'Bearer sk-1', 'x-api-key': 'sk-1' }, ['sk-1']],
    [{ authorization: 'Bearer ' }, []],
    [{ authorization: 'Bearer' }, []],
    [{ authorization: 'basic' }, []],
    [{ authorization: '' }, []],
    [{ authorization: `Bearer ${'x'.repeat(600)}` }, []],
    [{ authorization: `Bearer${' '.repeat(30_000)}x${' '.repeat(1_000)}y` }, []],
  ])('takes empty, doubled and endless values for absent', (headers, expected) => {
    expect(credentialsOf({ headers, url: '/v1/models' })).toEqual(expected);
  });

  it('reads the key in the query under /v1beta alone', () => {
    const query = '?alt=sse&key=sk-4';
    expect(credentialsOf({ headers: {}, url: `/v1beta/models/m:generateContent${query}` })).toEqual(['sk-4']);
    expect(credentialsOf({ headers: {}, url: '/v1beta/models' })).toEqual([]);
    expect(credentialsOf({ headers: {}, url: `/v1/models${query}` })).toEqual([]);
  });
});

describe('maskKey', () => {
  it('shows at most 7 characters', () => {
    expect(maskKey('sk-abcdefghijklwxyz')).toBe('sk-****wxyz');
    expect(maskKey('short')).toBe('*****');
  });
});
