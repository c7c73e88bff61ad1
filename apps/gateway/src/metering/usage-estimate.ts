import { IMAGE_PART_TOKENS, MEDIA_BYTES_PER_TOKEN, type InputSize } from '@tollgate/openai';

const BYTES_PER_TOKEN = 4;
const TOKENS_PER_MESSAGE = 3;

/** Input tokens where the provider does not say: a token for four bytes of text, three for each message, media by rule. */
export function estimateInputTokens(input: InputSize): number {
  return (
    input.tokens +
    Math.ceil(input.textBytes / BYTES_PER_TOKEN) +
    TOKENS_PER_MESSAGE * input.messages +
    IMAGE_PART_TOKENS * input.imageParts +
    Math.ceil(input.mediaBytes / MEDIA_BYTES_PER_TOKEN)
  );
}

/** Output tokens where the provider does not say: a token for four bytes. */
export function estimateOutputTokens(outputBytes: number): number {
  return Math.ceil(outputBytes / BYTES_PER_TOKEN);
}
