export {
  IMAGE_PART_TOKENS,
  MEDIA_BYTES_PER_TOKEN,
  measureChatInput,
  measureTexts,
  type InputSize,
} from './input-size.js';
export { parseChatRequest, type ChatRequest } from './chat-request.js';
export { parseCompletionRequest, type CompletionRequest } from './completion-request.js';
export { parseEmbeddingRequest, type EmbeddingRequest, type EncodingFormat } from './embedding-request.js';
export { errorEnvelope, type ErrorEnvelope, type ErrorObject } from './error-envelope.js';
export { isJsonObject, jsonTypeName, type JsonObject } from './json.js';
export {
  RequestProblem,
  invalidType,
  invalidValue,
  missingParameter,
  rewriteJson,
} from './request-problem.js';
export {
  SSE_DONE,
  SSE_EVENT_BYTES_MAX,
  SSE_KEEP_ALIVE,
  SseDecoder,
  SseEventTooLargeError,
  encodeSseEvent,
} from './sse.js';
