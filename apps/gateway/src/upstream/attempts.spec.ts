import { SseEventTooLargeError } from '@tollgate/openai';
import { UpstreamAddressError } from '@tollgate/providers';
import { AttemptFailedError, asAttemptFailure, refused, tellingFailure, unusable } from './attempts.js';

function busy(retryAfter?: string): AttemptFailedError {
  return refused(429, '{}', retryAfter === undefined ? {} : { 'retry-after': retryAfter });
}

describe('asAttemptFailure', () => {
  it('takes an event that is too large for a failure of the upstream', () => {
    const failure = asAttemptFailure(new SseEventTooLargeError('9 MiB'));
    expect(failure).toBeInstanceOf(AttemptFailedError);
    expect(failure).toMatchObject({ failure: { kind: 'broken' } });
  });

  it('names no status where none came, and the one that came with an answer that is none', () => {
    const reset = Object.assign(new Error('read ECONNRESET'), { syscall: 'read', code: 'ECONNRESET' });
    expect(asAttemptFailure(reset)).toHaveProperty('failure', { kind: 'broken', message: 'read ECONNRESET' });
    expect(unusable(200, '<html>').failure).toMatchObject({ kind: 'broken', status: 200 });
  });

  it('keeps the words of the upstream out of messages, which are logged', () => {
    const failure = refused(503, '{"error":{"message":"the prompt was: hello"}}');
    expect(failure.failure.message).toContain('the prompt was: hello');
    expect(failure.message).toBe('the upstream answered 503 (busy)');
    expect(unusable(200, 'the prompt was: hello').message).not.toContain('hello');
  });

  it('leaves an address that may not be connected to for the operator to mend', () => {
    const failure = asAttemptFailure(new UpstreamAddressError('is in a private network'));
    expect(failure).toHaveProperty('failure', { kind: 'credential', message: 'is in a private network' });
  });

  it('gives a fault of ours back as it is', () => {
    const fault = new TypeError('ours');
    expect(asAttemptFailure(fault)).toBe(fault);
  });
});

describe('tellingFailure', () => {
  it('tells the later failure, but of busy deployments the one that is ready sooner', () => {
    const [soon, late, silent, broken] = [busy('7'), busy('30'), busy(), refused(500, '')];
    expect(tellingFailure(null, late)).toBe(late);
    expect(tellingFailure(soon, late)).toBe(soon);
    expect(tellingFailure(late, soon)).toBe(soon);
    expect(tellingFailure(soon, silent)).toBe(soon);
    expect(tellingFailure(silent, soon)).toBe(soon);
    expect(tellingFailure(soon, broken)).toBe(broken);
    expect(tellingFailure(broken, soon)).toBe(soon);
  });
});
