import { createOpenAICompatible } from '@ai-sdk/openai-compatible';
import * as sdk from 'ai';
import { aiSdk } from '../ai-sdk.mjs';
import { serve } from '../questions.mjs';

serve(
  aiSdk(sdk, ({ baseUrl, apiKey }) => {
    const tollgate = createOpenAICompatible({ name: 'tollgate', baseURL: baseUrl, apiKey });
    return { chatModel: (id) => tollgate.chatModel(id), embeddingModel: (id) => tollgate.embeddingModel(id) };
  }),
);
