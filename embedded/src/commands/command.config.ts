import { launcherConfigSchema } from '../launcher.config.js';
import { z } from 'zod';

/** What the commands beside `npm start` read from their environment: that of the launcher, and where npm was called. */
export const commandConfigSchema = launcherConfigSchema.extend({
  /** Set by npm: the folder that relative paths of the command line belong to. */
  INIT_CWD: z.string().optional(),
});

export type CommandConfig = Readonly<z.output<typeof commandConfigSchema>>;
