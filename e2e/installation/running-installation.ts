import { loadConfig } from '@tollgate/runtime';
import { z } from 'zod';
import { ComposeInstallation } from './compose-installation.js';
import { EmbeddedInstallation } from './embedded-installation.js';
import type { Installation } from './installation.js';

const { E2E_MODE } = loadConfig(z.object({ E2E_MODE: z.enum(['embedded', 'compose']).default('embedded') }));

/** The Tollgate of a spec file: one of its own in embedded mode, the one that runs already in compose mode. */
export type RunningInstallation = Installation;

export const RunningInstallation = {
  start(): Promise<RunningInstallation> {
    return E2E_MODE === 'compose' ? ComposeInstallation.join() : EmbeddedInstallation.start();
  },
};
