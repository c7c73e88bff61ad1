/** The only model of the demo upstream. */
export const DEMO_MODEL = 'demo-chat';

/** Credential of the launcher's own deployment; the demo upstream takes any. */
export const DEMO_CREDENTIAL = 'demo';

/** Input and output tokens of one request together, at most. */
export const DEMO_CONTEXT_TOKENS = 131_072;

/** Output tokens of one answer, at most. */
export const DEMO_OUTPUT_TOKENS_MAX = 4_096;
