import { credentialsOf, maskKey } from './credential.js';

describe('credentialsOf', () => {
  it.each([
    [{ authorization: 'Bearer sk-1' }, ['sk-1']],
    [{ authorization: 'bearer   sk-1  ' }, ['sk-1']],
    [{ authorization: 'sk-1' }, ['sk-1']],
    [{ authorization: `Basic ${Buffer.from(':sk-1').toString('base64')}` }, ['sk-1']],
    [{ authorization: `Basic ${Buffer.from('user:sk:1').toString('base64')}` }, ['sk:1']],
    [{ 'api-key': 'sk-2' }, ['sk-2']],
    [{ 'x-api-key': 'sk-3' }, ['sk-3']],
    [{ authorization: 'Bearer sk-1', 'api-key': '', 'x-api-key': 'sk-3' }, ['sk-1', 'sk-3']],
    [{ authorization: 'Bearer sk-1', 'x-api-key': 'sk-1' }, ['sk-1']],
    [{ authorization: 'Bearer ' }, []],
    [{ authorization: '' }, []],
    [{ authorization: `Bearer ${'x'.repeat(600)}` }, []],
  ])('reads %j', (headers, expected) => {
    expect(credentialsOf(headers)).toEqual(expected);
  });
});

describe('maskKey', () => {
  it('shows at most 7 characters', () => {
    expect(maskKey('sk-abcdefghijklwxyz')).toBe('sk-****wxyz');
    expect(maskKey('short')).toBe('*****');
  });
});
