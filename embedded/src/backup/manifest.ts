import { z } from 'zod';

/** The last file of an archive. */
export const MANIFEST_FILE = 'manifest.json';

/** Raised when an older restore could not read what a newer backup wrote. */
export const MANIFEST_FORMAT = 1;

/** What an archive says of itself. */
export const manifestSchema = z.object({
  format: z.literal(MANIFEST_FORMAT),
  /** Version of Tollgate that made the backup. */
  tollgate: z.string(),
  /** RFC 3339, UTC: when the backup was complete; later commits are not in it. */
  completedAt: z.iso.datetime(),
  postgresMajor: z.string(),
  /** Operating system and processor: the files of a cluster fit one kind of machine. */
  machine: z.string(),
  /** Migrations that the database has had, oldest first. */
  migrations: z.array(z.string()),
  files: z.array(z.object({ path: z.string(), sizeBytes: z.number().int(), sha256: z.string() })),
});

export type Manifest = Readonly<z.output<typeof manifestSchema>>;

/** The machine that this runs on, as a manifest names it. */
export function thisMachine(): string {
  return `${process.platform}-${process.arch}`;
}
