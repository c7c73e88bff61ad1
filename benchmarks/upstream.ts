import { createServer, type ServerResponse } from 'node:http';

/**
 * An upstream that costs next to nothing, in a process of its own: one fixed plain answer, or 50 chunks of a token each,
 * written one by one. It is load, not a test's witness.
 */
const CHUNKS = 50;

const plainAnswer = JSON.stringify({
  id: 'chatcmpl-bench',
  object: 'chat.completion',
  created: 1_700_000_000,
  model: 'bench',
  choices: [
    {
      index: 0,
      message: { role: 'assistant', content: 'token '.repeat(CHUNKS) },
      logprobs: null,
      finish_reason: 'stop',
    },
  ],
  usage: { prompt_tokens: 20, completion_tokens: CHUNKS, total_tokens: 20 + CHUNKS },
});

function chunk(choices: unknown[], usage: unknown = null): string {
  const body = {
    id: 'chatcmpl-bench',
    object: 'chat.completion.chunk',
    created: 1_700_000_000,
    model: 'bench',
    choices,
    usage,
  };
  return `data: ${JSON.stringify(body)}\n\n`;
}

const pieces = [
  ...Array.from({ length: CHUNKS }, (_, n) =>
    chunk([
      {
        index: 0,
        delta: n === 0 ? { role: 'assistant', content: 'token ' } : { content: 'token ' },
        finish_reason: null,
      },
    ]),
  ),
  chunk([{ index: 0, delta: {}, finish_reason: 'stop' }]) +
    chunk([], { prompt_tokens: 20, completion_tokens: CHUNKS, total_tokens: 20 + CHUNKS }) +
    'data: [DONE]\n\n',
];

function stream(response: ServerResponse): void {
  response.writeHead(200, { 'content-type': 'text/event-stream' });
  let next = 0;
  const write = (): void => {
    const piece = pieces[next];
    next += 1;
    if (piece === undefined) response.end();
    else {
      response.write(piece);
      // A turn of the event loop apart, so that the reader gets them one by one.
      setTimeout(write, 1);
    }
  };
  write();
}

const server = createServer((request, response) => {
  let body = '';
  request.setEncoding('utf8');
  request.on('data', (text: string) => {
    body += text;
  });
  request.on('end', () => {
    if (body.includes('"stream":true')) stream(response);
    else response.writeHead(200, { 'content-type': 'application/json' }).end(plainAnswer);
  });
});

server.listen(0, '127.0.0.1', () => {
  const address = server.address();
  if (typeof address === 'object') process.send?.({ port: address?.port });
});
process.on('disconnect', () => process.exit(0));
