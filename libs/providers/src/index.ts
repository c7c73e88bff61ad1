export { chatForm } from './openai/chat-form.js';
export { completionByChatForm, completionForm } from './openai/completion-form.js';
export { embeddingForm } from './openai/embedding-form.js';
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
export { UpstreamAddressError, upstreamLookup } from './upstream-lookup.js';
export {
  NoAnswerError,
  UpstreamStreamError,
  type AnswerIdentity,
  type PlainAnswer,
  type StreamReader,
  type UpstreamApi,
  type UpstreamForm,
} from './openai/upstream-form.js';
export { buildUpstreamRequest, isReasoningModel, type UpstreamRequest } from './openai/upstream-request.js';
