import { errorEnvelope } from '@tollgate/openai';
import { GATEWAY_ERRORS, GatewayError } from '../relay/gateway-errors.js';
import { successMembers, toDialect } from './code-envelope.js';
import { DIALECT_PROFILES, type RequestDialect } from './dialect-profile.js';

const { openai, kuaiai, xiaoyi } = DIALECT_PROFILES;
const inBody = (profile: RequestDialect['profile']): RequestDialect => ({ profile, isKeyInBody: true });
const inHeaders = (profile: RequestDialect['profile']): RequestDialect => ({ profile, isKeyInBody: false });

const refusal = (status: number, code: string | null = null) => ({
  status,
  envelope: errorEnvelope({ message: 'No.', type: 'invalid_request_error', param: null, code }),
});

describe('successMembers', () => {
  it('puts code 0 before every answer of one dialect, and where the key is in the body of another', () => {
    expect(successMembers(inBody(xiaoyi))).toEqual({ code: 0, msg: '' });
    expect(successMembers(inHeaders(xiaoyi))).toEqual({ code: 0, msg: '' });
    expect(successMembers(inBody(kuaiai))).toEqual({ code: 0, msg: '' });
    expect(successMembers(inHeaders(kuaiai))).toEqual({});
    expect(successMembers(inBody(openai))).toEqual({});
  });
});

describe('toDialect', () => {
  it('answers OpenAI’s clients with nothing but OpenAI’s envelope', () => {
    const { status, envelope } = refusal(429, 'insufficient_quota');
    expect(toDialect({ status, envelope }, inBody(openai))).toEqual({ status, body: envelope });
  });

  it.each([
    [400, null, 40_001],
    [401, 'invalid_api_key', 40_101],
    [429, 'insufficient_quota', 40_201],
    [403, 'model_not_allowed', 40_301],
    [404, 'model_not_found', 40_401],
    [405, null, 40_501],
    [413, null, 41_301],
    [429, 'rate_limit_exceeded', 42_901],
    [500, null, 50_001],
    [502, null, 50_201],
    [503, null, 50_301],
    [504, null, 50_401],
    [422, null, 40_001],
    [507, null, 50_001],
  ])('gives the status %i with the code %s the number %i', (status, name, code) => {
    const given = refusal(status, name);
    for (const profile of [xiaoyi, kuaiai]) {
      const answer = toDialect(given, inHeaders(profile));
      expect(answer).toEqual({
        status,
        body: { code, msg: expect.any(String), error: given.envelope.error },
      });
      expect(toDialect(given, inBody(profile))).toEqual({ status: 200, body: answer.body });
    }
  });

  it('says in Chinese what it is, then what exactly', () => {
    expect(toDialect(refusal(429, 'insufficient_quota'), inBody(xiaoyi)).body).toMatchObject({
      msg: '余额不足：No.',
    });
    expect(toDialect(refusal(418), inBody(xiaoyi)).body).toMatchObject({
      code: 40_001,
      msg: '请求参数错误：No.',
    });
  });

  it('has a number other than 0 for every error in the table', () => {
    for (const entry of Object.keys(GATEWAY_ERRORS) as (keyof typeof GATEWAY_ERRORS)[]) {
      const { status, envelope } = new GatewayError(entry);
      const { body } = toDialect({ status, envelope }, inBody(xiaoyi));
      expect(body).toMatchObject({ code: expect.any(Number) });
      expect(body).not.toMatchObject({ code: 0 });
    }
  });
});
