import { parseRequestId, requestIdToWire } from './request-id.js';

const uuid = '01a1fda0-4c5f-73af-a490-1e71198512a9';
const wire = 'req_01a1fda04c5f73afa4901e71198512a9';

describe('request ids', () => {
  it('are written for clients and read back in either form', () => {
    expect(requestIdToWire(uuid)).toBe(wire);
    expect(parseRequestId(wire)).toBe(uuid);
    expect(parseRequestId(uuid)).toBe(uuid);
    expect(parseRequestId(uuid.toUpperCase())).toBe(uuid);
  });

  it.each(['', 'req_', wire.slice(0, -1), `${wire}0`, 'req_01A1FDA04C5F73AFA4901E71198512A9', "'; --"])(
    'are not %p',
    (text) => {
      expect(parseRequestId(text)).toBeNull();
    },
  );
});
