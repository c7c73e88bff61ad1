import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The checkout that this runs from. */
export const CHECKOUT = fileURLToPath(new URL('../../../', import.meta.url));

/** The data folder: the given one, else `data` in the checkout, or the one that stands in for it. */
export function dataDirOf(config: { readonly DATA_DIR?: string | undefined }, name = 'data'): string {
  return config.DATA_DIR === undefined ? join(CHECKOUT, name) : resolve(config.DATA_DIR);
}
