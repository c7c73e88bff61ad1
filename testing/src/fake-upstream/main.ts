import { serveFakeUpstream } from './serve-fake-upstream.js';

void serveFakeUpstream();
