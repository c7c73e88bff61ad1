export { NoAnswerError, readChatAnswer, type AnswerIdentity, type ChatAnswer } from './openai/chat-answer.js';
export { ChatStreamReader, UpstreamStreamError } from './openai/chat-stream.js';
export {
  buildChatUpstreamRequest,
  isReasoningModel,
  type UpstreamRequest,
} from './openai/chat-upstream-request.js';
export { FailedFinishError } from './openai/finish-reason.js';
export {
  readUsage,
  usageObject,
  type ImpossibleUsage,
  type ReportedUsage,
  type UsageBounds,
} from './openai/reported-usage.js';
export {
  brokenAnswer,
  classifyFailure,
  type FailureKind,
  type UpstreamFailure,
} from './openai/upstream-error.js';
export {
  hostOf,
  parseUpstreamUrl,
  upstreamAddressProblem,
  type PrivateNetworks,
  type UpstreamUrl,
} from './upstream-address.js';
