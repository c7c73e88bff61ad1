import fetch from 'node-fetch';
import { serve } from '../questions.mjs';
import { chatGpt } from './chatgpt.mjs';

// chatgpt-web hands node-fetch to the package, which then reads a stream in another way.
serve(chatGpt({ fetch }));
