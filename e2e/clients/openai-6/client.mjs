import OpenAI from 'openai';
import { openAiNode } from '../openai-node.mjs';
import { serve } from '../questions.mjs';

serve(openAiNode(OpenAI, ({ chat }) => chat.completions));
