import { v7 as uuidv7 } from 'uuid';
import { lowestRequestId, requestIdTime } from './request-id-time.js';

const instant = new Date('2026-11-21T09:30:00.123Z');

it('reads the time of a request from its id', () => {
  expect(requestIdTime(uuidv7({ msecs: instant.getTime() }))).toEqual(instant);
});

it('bounds the ids of a millisecond from below', () => {
  const id = uuidv7({ msecs: instant.getTime() });
  expect(lowestRequestId(instant) < id).toBe(true);
  expect(lowestRequestId(new Date(instant.getTime() + 1)) > id).toBe(true);
});
