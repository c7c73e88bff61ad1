import { SseEventTooLargeError } from '@tollgate/openai';
import { AttemptFailedError, asAttemptFailure, refused, tellingFailure } from './attempts.js';

function busy(retryAfter?: string): AttemptFailedError {
  return refused(429, '{}', retryAfter === undefined ? {} : { 'retry-after': retryAfter });
}

describe('asAttemptFailure', () => {
  it('takes an event that is too large for a failure of the upstream', () => {
    const failure = asAttemptFailure(new SseEventTooLargeError('9 MiB'));
    expect(failure).toBeInstanceOf(AttemptFailedError);
    expect(failure).toMatchObject({ failure: { kind: 'broken' } });
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
