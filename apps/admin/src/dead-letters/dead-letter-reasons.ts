interface Reason {
  readonly explanation: string;
  readonly replayable: boolean;
}

const ONLY_DISCARD = 'It can only be discarded.';
const CORRECT_OR_DISCARD = 'It can be corrected or discarded.';

/** The reasons that the ledger gives, each with what an operator can do about it. */
const REASONS: Readonly<Record<string, Reason>> = {
  other_content: {
    explanation: `The usage of this request was settled already, from an event with other content. ${ONLY_DISCARD}`,
    replayable: false,
  },
  unknown_price: {
    explanation:
      'The price that the event is pinned to does not exist here. Replay it once the price is back, as from a backup.',
    replayable: true,
  },
  cost_mismatch: {
    explanation:
      'The cost is not what the pinned price and the units make: gateway and billing may be of different versions. ' +
      'Replay it once both are of the same version.',
    replayable: true,
  },
  unknown_account: {
    explanation:
      'The account does not exist here. Replay the event once the account is back, as from a backup.',
    replayable: true,
  },
  request_of_another_account: {
    explanation: 'The hold of this request belongs to another account than the one that the event names.',
    replayable: true,
  },
  cost_out_of_range: {
    explanation: `The cost is above the largest amount that can be booked. ${CORRECT_OR_DISCARD}`,
    replayable: false,
  },
  number_out_of_range: {
    explanation: `A number of the event is too large to be stored. ${CORRECT_OR_DISCARD}`,
    replayable: false,
  },
  outside_kept_months: {
    explanation: `The request is older than the months of usage that are kept, or lies in the future. ${ONLY_DISCARD}`,
    replayable: false,
  },
};

const MALFORMED = 'malformed';

/** Splits a reason as it is stored into its code and what is to be said about it. */
export function describeReason(stored: string): Reason & { readonly code: string } {
  const [code = ''] = stored.split(': ', 1);
  if (code === MALFORMED) {
    const problem = stored.slice(MALFORMED.length + 2);
    return {
      code,
      explanation: `This is not a usage event: ${problem}. ${CORRECT_OR_DISCARD}`,
      replayable: false,
    };
  }
  const known = REASONS[code];
  if (known !== undefined) return { code, ...known };
  return {
    code,
    explanation: 'The database refused the event. Replay it once the cause is mended.',
    replayable: true,
  };
}
