import { DIALECT_NAMES, parseRequestId } from '@tollgate/contracts';
import { AmountFormatError, parseAmount, parseRate } from '@tollgate/pricing';
import { z } from 'zod';

const NAME_LENGTH_MAX = 200;
const EXTERNAL_ID_LENGTH_MAX = 200;
const METADATA_BYTES_MAX = 16 * 1024;
const INSTANT_EARLIEST = Date.UTC(2000, 0, 1);
const INSTANT_LATEST = Date.UTC(2200, 0, 1);

/** An id in a path; whatever is no UUID names nothing. */
export const idField = z.uuid().transform((id) => id.toLowerCase());

export const idParameters = z.object({ id: idField });

/** A request id as callers see it (`req_` and 32 digits) or as the UUID that it is. */
export const requestIdField = z.string().transform((text, context) => {
  const requestId = parseRequestId(text);
  if (requestId !== null) return requestId;
  context.addIssue({
    code: 'custom',
    message: 'must be a request id: req_ and 32 digits, or a UUID',
    input: text,
  });
  return z.NEVER;
});

/** A display name: one line with at least one visible character. */
export const nameField = lineField(NAME_LENGTH_MAX);

/** The id of a resource in the operator's own system. */
export const externalIdField = lineField(EXTERNAL_ID_LENGTH_MAX);

/** The name of a price list. */
export const planField = z
  .string()
  .regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/, 'must be 1 to 64 letters, digits, ".", "_" or "-"');

/** The public name of a model, as callers write it. */
export const modelIdField = z
  .string()
  .regex(
    /^[A-Za-z0-9][A-Za-z0-9._:/@+-]{0,255}$/,
    'must be 1 to 256 letters, digits or any of ._:/@+- and begin with a letter or digit',
  );

/** The dialect of the API that an account or a key speaks; null leaves it open. */
export const dialectField = z.enum(DIALECT_NAMES).nullable();

/** An amount of credits as a decimal string, as answers show it. */
export const amountText = decimalText('12.5').meta({
  id: 'Amount',
  description:
    'Credits as a decimal string, at most 9,000,000 and with at most 9 decimals. Never a JSON number.',
  pattern: String.raw`^-?\d{1,10}(\.\d{1,9})?$`,
  examples: ['12.5'],
});

/** An amount of credits as a decimal string, read as nano-credits. */
export const amountField = amountText.transform(exactly(parseAmount));

/** Credits per million units as a decimal string, as answers show it. */
export const rateText = decimalText('0.15').meta({
  id: 'Rate',
  description: 'Credits per million units as a decimal string, not negative and with at most 6 decimals.',
  pattern: String.raw`^\d{1,10}(\.\d{1,6})?$`,
  examples: ['0.15'],
});

/** Credits per million units as a decimal string, read as pico-credits per unit. */
export const rateField = rateText.transform(exactly(parseRate));

/** A point in time: RFC 3339 in UTC, kept in milliseconds. */
export const instantField = z.iso
  .datetime('must be a time such as "2026-01-31T12:00:00Z"')
  .transform((text) => new Date(text))
  .refine(
    (instant) => instant.getTime() >= INSTANT_EARLIEST && instant.getTime() < INSTANT_LATEST,
    'must be a time between the years 2000 and 2200',
  );

/** A free JSON object of the operator's. */
export const metadataField = z
  .record(z.string(), z.unknown())
  .refine(
    (metadata) => Buffer.byteLength(JSON.stringify(metadata)) <= METADATA_BYTES_MAX,
    `must be at most ${METADATA_BYTES_MAX} bytes of JSON`,
  );

/** Text of one line, without blanks around it. */
export function lineField(lengthMax: number): z.ZodType<string, string> {
  return z
    .string()
    .trim()
    .min(1, 'must not be empty')
    .max(lengthMax, `must be at most ${lengthMax} characters`)
    .regex(/^\P{Cc}*$/u, 'must not contain control characters');
}

/** Text that is a decimal number: what comes as a JSON number, which may have lost digits on its way, is told so. */
export function decimalText(example: string): z.ZodString {
  return z.string({
    error: ({ input }) => {
      if (input === undefined) return undefined;
      const refused = typeof input === 'number' ? ', not a number' : '';
      return `must be a decimal string such as "${example}"${refused}`;
    },
  });
}

/** A field that is read by a parser of exact decimals: what it refuses is said of the field. */
export function exactly(
  parse: (text: string) => bigint,
): (text: string, context: z.core.$RefinementCtx<string>) => bigint {
  return (text, context) => {
    try {
      return parse(text);
    } catch (error) {
      if (!(error instanceof AmountFormatError)) throw error;
      context.addIssue({ code: 'custom', message: error.message, input: text });
      return z.NEVER;
    }
  };
}
