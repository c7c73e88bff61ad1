import { Client, escapeIdentifier, escapeLiteral } from 'pg';
import { MigrationError } from './migration-error.js';
import { scramVerifier } from './scram-verifier.js';

/** The role of the applications' URL. */
export interface ApplicationRole {
  readonly name: string;
  readonly password: string;
}

/**
 * Reads the role out of `appUrl`.
 * @throws MigrationError where the applications would run as the owner: then no grant would protect anything.
 */
export function readApplicationRole(urls: { ownerUrl: string; appUrl: string }): ApplicationRole {
  const owner = new Client({ connectionString: urls.ownerUrl });
  const app = new Client({ connectionString: urls.appUrl });
  if (app.user === undefined || app.user === owner.user) {
    throw new MigrationError(
      'DATABASE_URL must name another role than DATABASE_OWNER_URL: the applications must not own the tables',
    );
  }
  return { name: app.user, password: app.password ?? '' };
}

/**
 * Makes the role, or sets its password, unless `appUrl` logs in already: so an owner who may not create roles can have
 * it made by hand, and running this again changes nothing.
 * @throws MigrationError for a role that no grant would hold back.
 */
export async function ensureApplicationRole(
  owner: Client,
  appUrl: string,
  role: ApplicationRole,
): Promise<void> {
  if (!(await logsIn(appUrl))) await createOrAlterRole(owner, role);
  const { rows } = await owner.query<{ above_grants: boolean }>(
    `SELECT rolsuper OR pg_has_role(rolname, current_user, 'MEMBER') AS above_grants
       FROM pg_roles WHERE rolname = $1`,
    [role.name],
  );
  if (rows[0]?.above_grants !== false) {
    throw new MigrationError(
      `the role ${role.name} of DATABASE_URL is a superuser or a member of the owner: give it a plain role`,
    );
  }
}

async function logsIn(url: string): Promise<boolean> {
  const client = new Client({ connectionString: url, connectionTimeoutMillis: 5_000 });
  try {
    await client.connect();
    return true;
  } catch {
    return false;
  } finally {
    await client.end().catch(() => undefined);
  }
}

async function createOrAlterRole(owner: Client, role: ApplicationRole): Promise<void> {
  const { rowCount } = await owner.query('SELECT FROM pg_roles WHERE rolname = $1', [role.name]);
  const password = role.password === '' ? 'NULL' : escapeLiteral(scramVerifier(role.password));
  const verb = rowCount === 0 ? 'CREATE' : 'ALTER';
  try {
    await owner.query(`${verb} ROLE ${escapeIdentifier(role.name)} LOGIN PASSWORD ${password}`);
  } catch (cause) {
    throw new MigrationError(
      `DATABASE_URL does not log in, and the owner cannot change that (${verb} ROLE failed): make the role ` +
        `${role.name} by hand with the password of DATABASE_URL, or give the owner CREATEROLE`,
      { cause },
    );
  }
}

/**
 * Gives the role what the applications need and takes away everything else, in one transaction. Money moves through
 * functions alone: there is no right to write a balance, a hold, a transfer or a usage record.
 */
export async function grantToApplication(owner: Client, role: ApplicationRole): Promise<void> {
  const app = escapeIdentifier(role.name);
  await owner.query('BEGIN');
  await owner.query(grants(app));
  await owner.query('COMMIT');
}

function grants(app: string): string {
  return `
    REVOKE ALL ON ALL TABLES IN SCHEMA tollgate FROM ${app};
    REVOKE ALL ON ALL FUNCTIONS IN SCHEMA tollgate FROM ${app};
    GRANT USAGE ON SCHEMA tollgate TO ${app};
    GRANT SELECT ON ALL TABLES IN SCHEMA tollgate TO ${app};

    GRANT INSERT (id, name, external_id, status, plan, multiplier_ppm, metadata, floor, dialect, created_at, updated_at),
      UPDATE (name, external_id, status, plan, multiplier_ppm, metadata, dialect, updated_at) ON tollgate.account TO ${app};
    GRANT INSERT, UPDATE (display_name, owned_by, context_tokens, output_tokens_max, updated_at, deleted_at)
      ON tollgate.model TO ${app};
    GRANT INSERT, UPDATE (name, external_id, base_url, credential, status, apis, settings, updated_at, deleted_at)
      ON tollgate.deployment TO ${app};
    GRANT INSERT, DELETE, UPDATE (upstream_model, priority, weight) ON tollgate.deployment_model TO ${app};
    GRANT INSERT, UPDATE (name, external_id, allowed_models, status, expires_at, dialect, updated_at)
      ON tollgate.api_key TO ${app};
    GRANT INSERT, UPDATE (name, access, last_used_at, revoked_at) ON tollgate.operator_token TO ${app};
    GRANT UPDATE (points_label, nano_per_point, empty_completions, dashboard_mode, no_credit_status, updated_at)
      ON tollgate.setting TO ${app};
    GRANT INSERT (dead_letter_id, outcome, reason, charged, absorbed) ON tollgate.dead_letter_decision TO ${app};
    GRANT INSERT ON tollgate.price, tollgate.idempotency_record, tollgate.audit_log TO ${app};

    GRANT EXECUTE ON FUNCTION tollgate.hold_batch, tollgate.touch_batch, tollgate.close_batch, tollgate.settle_batch,
      tollgate.quarantine_event, tollgate.open_dead_letter, tollgate.discard_dead_letter, tollgate.expire_holds,
      tollgate.known_requests, tollgate.grant_escrow_batch, tollgate.due_escrows, tollgate.wanted_escrow, tollgate.shut_escrow,
      tollgate.finish_escrows, tollgate.return_escrows, tollgate.adjust_with_shut, tollgate.adjust, tollgate.set_floor,
      tollgate.begin_ledger_pass, tollgate.changed_accounts, tollgate.check_accounts, tollgate.end_ledger_pass,
      tollgate.clear_escrow_stop, tollgate.purge_reservations, tollgate.close_days, tollgate.day_close_violations,
      tollgate.ensure_usage_partitions TO ${app};

    GRANT USAGE ON SCHEMA bullmq TO ${app};
    GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA bullmq TO ${app};
    GRANT USAGE, SELECT, UPDATE ON ALL SEQUENCES IN SCHEMA bullmq TO ${app};
    GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA bullmq TO ${app};`;
}
