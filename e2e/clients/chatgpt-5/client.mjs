import { serve } from '../questions.mjs';
import { chatGpt } from './chatgpt.mjs';

serve(chatGpt());
