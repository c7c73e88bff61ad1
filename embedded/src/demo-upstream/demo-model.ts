/** The only model of the demo upstream. */
export const DEMO_MODEL = 'demo-chat';

/** Input and output tokens of one request together, at most. */
export const DEMO_CONTEXT_TOKENS = 131_072;

/** Output tokens of one answer, at most. */
export const DEMO_OUTPUT_TOKENS_MAX = 4_096;
