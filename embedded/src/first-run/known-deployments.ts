import type { MasterKey } from '@tollgate/runtime';
import type { Client } from 'pg';
import { z } from 'zod';
import type { AdminClient } from './admin-client.js';

/** A deployment that the launcher made, as this start wants it. */
export interface WantedDeployment {
  readonly externalId: string;
  readonly baseUrl: string;
  readonly credential: string;
}

/** How a deployment is compared with what is wanted: one that an operator deleted stays deleted. */
export type KnownDeployment =
  { readonly state: 'absent' | 'deleted' | 'same' } | { readonly state: 'different'; readonly id: string };

/** As `seal` of admin binds it in. */
const CREDENTIAL_USE = 'credential';

const row = z.object({
  id: z.string(),
  base_url: z.string(),
  credential: z.string(),
  is_deleted: z.boolean(),
});

/** Compares a deployment with what is wanted. The database is asked, so that a start which changes nothing leaves no trace. */
export async function compareDeployment(
  client: Client,
  masterKey: MasterKey,
  wanted: WantedDeployment,
): Promise<KnownDeployment> {
  const { rows } = await client.query(
    `SELECT id, base_url, credential, deleted_at IS NOT NULL AS is_deleted FROM tollgate.deployment
      WHERE external_id = $1 ORDER BY is_deleted LIMIT 1`,
    [wanted.externalId],
  );
  const [found] = z.array(row).parse(rows);
  if (found === undefined) return { state: 'absent' };
  if (found.is_deleted) return { state: 'deleted' };
  const isSame =
    found.base_url === wanted.baseUrl.replace(/\/+$/, '') &&
    masterKey.open(CREDENTIAL_USE, found.credential) === wanted.credential;
  return isSame ? { state: 'same' } : { state: 'different', id: found.id };
}

/** Gives a deployment the wanted address and credential. @throws AdminCallError */
export async function followDeployment(
  admin: AdminClient,
  id: string,
  { baseUrl, credential }: WantedDeployment,
): Promise<void> {
  await admin.call({
    path: `/deployments/${id}`,
    method: 'PATCH',
    body: { baseUrl, credential },
    answer: z.unknown(),
  });
}
