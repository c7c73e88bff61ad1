import { join } from 'node:path';
import { answerText, behaviourSchema, embeddingVector, eventually, marker } from '@tollgate/testing';
import type { Delivery, FakeUpstream } from '@tollgate/testing';
import { ClientProcess, type ClientReply, type ClientRequest } from './client-process.js';
import { NO_ERROR, scenariosOf, type RealClient } from './clients.js';
import { CountingProxy, type CountedRequest } from './counting-proxy.js';
import { newerNode } from './installed-clients.js';
import { SCENARIOS, type ScenarioName } from './scenarios.js';

const CANCEL_TIMEOUT_MS = 60_000;

/** Where the clients meet: one gateway with one upstream behind it. */
export interface Stage {
  readonly gatewayUrl: string;
  readonly upstream: FakeUpstream;
  readonly keys: Readonly<Record<'rich' | 'poor' | 'wrong', string>>;
  readonly models: Readonly<Record<'chat' | 'embedding' | 'unknown', string>>;
}

/** What came of one scenario: for the program, on the wire, and at the upstream. */
export interface Outcome {
  readonly reply: ClientReply;
  readonly requests: readonly CountedRequest[];
  readonly delivery: Delivery | undefined;
}

/** By scenario; an error where nothing came of it. */
export type Outcomes = ReadonlyMap<ScenarioName, Outcome | Error>;

/** Runs all scenarios of a client at once, each on a wire of its own: most of their time is the client's own waiting. */
export async function runClient(stage: Stage, client: RealClient): Promise<Outcomes> {
  const node = client.node === 'newer' ? newerNode().program : process.execPath;
  const program = new ClientProcess({ node, script: join(__dirname, client.script) });
  const outcomes = scenariosOf(client).map(async (name): Promise<[ScenarioName, Outcome | Error]> => {
    const outcome = runScenario({ stage, client, program, name });
    return [name, await outcome.catch((error: Error) => error)];
  });
  try {
    return new Map(await Promise.all(outcomes));
  } finally {
    await program.stop();
  }
}

/** The outcome of a scenario. @throws Error what went wrong if there is none. */
export function outcomeOf(outcomes: Outcomes | undefined, name: ScenarioName): Outcome {
  const outcome = outcomes?.get(name);
  if (outcome === undefined) throw new Error('it was not tried');
  if (outcome instanceof Error) throw outcome;
  return outcome;
}

/** What the program saw of an error, in one line. */
export function seenIn({ reply }: Outcome): string {
  if (reply.error === undefined) return NO_ERROR;
  const { class: name, status, code } = reply.error;
  return [name, status, code].filter((part) => part !== null).join(' ');
}

/** The text of a whole answer of the upstream in a scenario. */
export function upstreamText(name: ScenarioName): string {
  const behaviour = behaviourSchema.parse(SCENARIOS[name].behaviour ?? {});
  return answerText(behaviour, behaviour.chunks);
}

/** The vectors that the upstream has for what a client asked in a scenario. */
export function upstreamVectors(client: RealClient, name: ScenarioName): number[][] {
  return [inputOf(client, name) ?? []].flat().map((text) => embeddingVector(text));
}

async function runScenario(run: {
  stage: Stage;
  client: RealClient;
  program: ClientProcess;
  name: ScenarioName;
}): Promise<Outcome> {
  const { stage, client, program, name } = run;
  const { upstream, gatewayUrl } = stage;
  const { behaviour = {}, operation } = SCENARIOS[name];
  const mark = markOf(client, name);
  await upstream.behaveFor(mark, behaviour);
  const proxy = await CountingProxy.open(gatewayUrl);
  try {
    const reply = await program.ask(requestOf(stage, client, { name, baseUrl: proxy.baseUrl }));
    if (operation === 'abort') await waitUntilCancelled(upstream, mark);
    return { reply, requests: [...proxy.requests], delivery: await upstream.deliveryOf(mark) };
  } finally {
    await proxy.close();
  }
}

function requestOf(
  stage: Stage,
  client: RealClient,
  { name, baseUrl }: { name: ScenarioName; baseUrl: string },
): ClientRequest {
  const { operation, key = 'rich', model = 'chat', request = {} } = SCENARIOS[name];
  const input = inputOf(client, name);
  return {
    ...request,
    operation,
    baseUrl,
    apiKey: stage.keys[key],
    model: stage.models[model],
    prompt: `Say something. ${marker(markOf(client, name))}`,
    ...(input !== undefined && { input }),
  };
}

/** Embeddings have no prompt: their first text carries the marker. */
function inputOf(client: RealClient, name: ScenarioName): string | string[] | undefined {
  const { request: { input } = {} } = SCENARIOS[name];
  const mark = marker(markOf(client, name));
  if (input === undefined || typeof input === 'string') return input && `${input} ${mark}`;
  return input.map((text, index) => (index === 0 ? `${text} ${mark}` : text));
}

function markOf(client: RealClient, name: ScenarioName): string {
  return `${client.name}.${name}`;
}

async function waitUntilCancelled(upstream: FakeUpstream, mark: string): Promise<void> {
  await eventually(async () => {
    expect(await upstream.deliveryOf(mark)).toMatchObject({ clientAborted: true, ended: false });
  }, CANCEL_TIMEOUT_MS);
}
