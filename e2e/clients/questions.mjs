// The contract between a client's script and whoever starts it. Requests come in by standard input, one JSON line each:
//   { id, operation, baseUrl, apiKey, model, prompt, temperature?, input?, encodingFormat?, abortAfterPieces? }
// Each is carried out at once, and its answer goes out by standard output, one JSON line each:
//   { id, answer }                   what the program got: see `operations`
//   { id, error, pieces }            what the program caught, and the pieces of text that it had got before
// The process ends when standard input has ended and all is answered.
import { createInterface } from 'node:readline';

/**
 * Serves requests with one client.
 * @param client
 *   text(request): Promise<{ text, finishReason, usage }>                        one answer, not streamed
 *   stream(request, { say, signal }): Promise<{ finishReason, usage }>            a stream; `say` gets each piece of text
 *   collect(request, { say }): Promise<{ text, finishReason, usage }>             the helper that collects a stream, if any
 *   embed(request): Promise<{ vectors, promptTokens }>                            embeddings, if it has them
 *   describe(error): { class, status, code }                                      an error as the program sees it
 * `usage` is { promptTokens, completionTokens }. What a client does not show is null.
 */
export function serve(client) {
  // What a client throws past its caller would end a real program too: the one who started this one has to see it.
  const lines = createInterface({ input: process.stdin });
  lines.on('line', (line) => {
    const request = JSON.parse(line);
    const pieces = [];
    operations[request.operation](client, request, pieces).then(
      (answer) => write({ id: request.id, answer }),
      (error) => write({ id: request.id, error: client.describe(error), pieces }),
    );
  });
}

const operations = {
  text: (client, request) => client.text(request),
  embed: (client, request) => client.embed(request),

  async stream(client, request, pieces) {
    const answer = await client.stream(request, {
      say: (piece) => pieces.push(piece),
      signal: new AbortController().signal,
    });
    return { ...answer, pieces };
  },

  async collect(client, request, pieces) {
    const answer = await client.collect(request, { say: (piece) => pieces.push(piece) });
    return { ...answer, pieces };
  },

  /** Answers how the stream ended for the program: with which error, or with none. */
  async abort(client, request, pieces) {
    const controller = new AbortController();
    const say = (piece) => {
      pieces.push(piece);
      if (pieces.length === request.abortAfterPieces) controller.abort();
    };
    try {
      await client.stream(request, { say, signal: controller.signal });
      return { endedWith: null, pieces };
    } catch (error) {
      return { endedWith: client.describe(error).class, pieces };
    }
  },
};

function write(line) {
  process.stdout.write(`${JSON.stringify(line)}\n`);
}
