export {
  IMAGE_PART_TOKENS,
  MEDIA_BYTES_PER_TOKEN,
  measureChatInput,
  type ChatInputSize,
} from './chat-input.js';
export { parseChatRequest, type ChatRequest } from './chat-request.js';
export { errorEnvelope, type ErrorEnvelope, type ErrorObject } from './error-envelope.js';
export { isJsonObject, jsonTypeName, type JsonObject } from './json.js';
export { RequestProblem, invalidType, invalidValue, missingParameter } from './request-problem.js';
export {
  SSE_DONE,
  SSE_EVENT_BYTES_MAX,
  SSE_KEEP_ALIVE,
  SseDecoder,
  SseEventTooLargeError,
  encodeSseEvent,
} from './sse.js';
