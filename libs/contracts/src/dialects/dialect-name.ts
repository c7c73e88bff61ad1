/**
 * The dialects of the public API that an operator can give to an account or an API key: OpenAI's own, and those of
 * services whose clients may go on as they are. What each means is the gateway's business (docs/api/dialects.md).
 */
export const DIALECT_NAMES = [
  'openai',
  'app4gpt',
  'chatkore',
  'apigpt',
  'apigpt-azure',
  'kuaiai',
  'xiaoyi',
] as const;

export type DialectName = (typeof DIALECT_NAMES)[number];

/** The dialect of this name, or null: also for one that another version of Tollgate knows. */
export function parseDialectName(name: string | null): DialectName | null {
  return DIALECT_NAMES.find((known) => known === name) ?? null;
}
