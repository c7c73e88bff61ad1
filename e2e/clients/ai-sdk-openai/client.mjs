import { createOpenAI } from '@ai-sdk/openai';
import * as sdk from 'ai';
import { aiSdk } from '../ai-sdk.mjs';
import { serve } from '../questions.mjs';

serve(
  aiSdk(sdk, ({ baseUrl, apiKey }) => {
    const openai = createOpenAI({ baseURL: baseUrl, apiKey });
    // Plain `openai(model)` would use the Responses API.
    return { chatModel: (id) => openai.chat(id), embeddingModel: (id) => openai.embeddingModel(id) };
  }),
);
