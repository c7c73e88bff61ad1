import {
  measureChatInput,
  measureTexts,
  parseChatRequest,
  parseCompletionRequest,
  parseEmbeddingRequest,
  type CompletionRequest,
  type InputSize,
  type JsonObject,
} from '@tollgate/openai';
import {
  chatForm,
  completionByChatForm,
  completionForm,
  embeddingForm,
  type UpstreamForm,
} from '@tollgate/providers';
import { successMembers } from '../dialects/code-envelope.js';
import type { RequestDialect } from '../dialects/dialect-profile.js';
import { spellModel, standInsFor } from '../dialects/model-names.js';
import { prepareBody } from '../dialects/prepare-request.js';

/** A parsed request, whichever endpoint it came to. */
export interface ApiRequest {
  /** The model as the client asked for it. */
  readonly model: string;
  /** Models that may answer where that one is not sold, the nearest first. */
  readonly standIns: readonly string[];
  readonly stream: boolean;
  /** Choices that are generated for all inputs together. */
  readonly choices: number;
  /** Output tokens of each choice at most; null where the client does not say. */
  readonly outputTokensCap: number | null;
  readonly inputSize: InputSize;
  /** The ways in which upstreams can be asked for the answer, the native one first. */
  readonly forms: readonly UpstreamForm[];
  readonly answer: AnswerManner;
}

/** What the client's dialect wants of its answer. */
export interface AnswerManner {
  /** The model as the answer spells it. */
  readonly model: string;
  readonly headers: { readonly [name: string]: string };
  /** Members of a plain answer that stand before OpenAI's. */
  readonly members: JsonObject;
}

/** Reads the body of a request to one endpoint, in the dialect that it is written in. @throws RequestProblem */
export type ApiParser = (body: JsonObject, dialect: RequestDialect) => ApiRequest;

export function readChat(sent: JsonObject, dialect: RequestDialect): ApiRequest {
  const { body, headers } = prepareBody(sent, 'chat', dialect.profile);
  const request = parseChatRequest(body);
  const inputSize = measureChatInput(request);
  return { ...request, ...naming(request.model, dialect, headers), inputSize, forms: [chatForm(request)] };
}

export function readCompletion(sent: JsonObject, dialect: RequestDialect): ApiRequest {
  const { profile } = dialect;
  const { body, headers } = prepareBody(sent, 'completions', profile);
  const request = parseCompletionRequest(body, profile.hasEndlessCompletions ? null : undefined);
  return {
    ...request,
    ...naming(request.model, dialect, headers),
    inputSize: measureTexts(request.prompts),
    forms: completionForms(request),
  };
}

export function readEmbedding(sent: JsonObject, dialect: RequestDialect): ApiRequest {
  const { body, headers } = prepareBody(sent, 'embeddings', dialect.profile);
  const request = parseEmbeddingRequest(body);
  return {
    ...naming(request.model, dialect, headers),
    stream: false,
    choices: 0,
    outputTokensCap: 0,
    inputSize: measureTexts(request.inputs),
    forms: [embeddingForm(request)],
  };
}

/** Completions without a limit are asked of chat first: the completions API ends them after 16 tokens. */
function completionForms(request: CompletionRequest): readonly UpstreamForm[] {
  const [native, byChat] = [completionForm(request), completionByChatForm(request)];
  if (byChat === null) return [native];
  return request.outputTokensCap === null ? [byChat, native] : [native, byChat];
}

function naming(
  model: string,
  dialect: RequestDialect,
  headers: AnswerManner['headers'],
): Pick<ApiRequest, 'model' | 'standIns' | 'answer'> {
  const { profile } = dialect;
  return {
    model,
    standIns: standInsFor(model, profile),
    answer: { model: spellModel(model, profile), headers, members: successMembers(dialect) },
  };
}
