import type { BehaviourInput } from '@tollgate/testing';
import { UPSTREAM_CANARY as CANARY } from '../installation/log-canaries.js';

/** Stands in whatever the upstream keeps to itself. */
export { CANARY };

const headers = {
  'x-request-id': `req_${CANARY}`,
  'openai-organization': `org-${CANARY}`,
  'set-cookie': CANARY,
};
const told = { error: { message: `${CANARY} sk-${CANARY}0123`, type: CANARY, param: null, code: null } };

const WELL: readonly BehaviourInput[] = [
  { headers },
  { headers, quirks: ['crlf', 'comments', 'error_null', 'empty_role', 'vendor_keys'] },
  { headers, usage: 'none', quirks: ['azure_first_chunk', 'no_blank_after_data', 'blank_lines_before_json'] },
  { headers, quirks: ['usage_in_every_chunk', 'split_writes'], alphabet: '你好' },
  { headers, chunks: 0 },
  { headers, fault: 'no_done', quirks: ['usage_in_choice', 'reasoning_content'] },
];

const ILL: readonly BehaviourInput[] = [
  { headers, status: 500, errorBody: told },
  { headers, status: 401, errorBody: told },
  { headers, status: 429, errorBody: told },
  { headers, status: 503, errorBody: CANARY },
  { headers, status: 404, errorBody: '' },
  { headers, fault: 'reset_before_head' },
  { headers, fault: 'reset_after_head' },
  { headers, fault: 'reset_mid_stream' },
  { headers, fault: 'end_mid_stream' },
  { headers, fault: 'error_frame' },
  { headers, fault: 'broken_json' },
  { headers, fault: 'reset_reused_connection' },
];

/** Every fourth batch meets an upstream that is ill. */
export function behaviourOfBatch(batch: number): BehaviourInput {
  const [list, at] = batch % 4 === 3 ? [ILL, Math.floor(batch / 4)] : [WELL, batch];
  return list[at % list.length] ?? {};
}
