import { eventually } from '../eventually.js';
import type { SeededInstallation } from './seed-installation.js';

/** Waits until a gateway has heard of a model that was added while it runs: a notice tells it, and it reads the catalog anew. */
export async function untilServed(
  baseUrl: string,
  { apiKey, model }: Pick<SeededInstallation, 'apiKey' | 'model'>,
): Promise<void> {
  await eventually(async () => {
    const response = await fetch(`${baseUrl}/v1/models`, { headers: { authorization: `Bearer ${apiKey}` } });
    const text = await response.text();
    if (!text.includes(JSON.stringify(model))) throw new Error(`no model ${model} in ${text}`);
  }, 60_000);
}
