import { execFileSync, spawnSync } from 'node:child_process';
import { chownSync, lchownSync, lstatSync, mkdirSync, readdirSync } from 'node:fs';
import { userInfo } from 'node:os';
import { join } from 'node:path';
import { inheritedEnvironment } from '@tollgate/runtime';
import { PostgresError } from './postgres-error.js';
import { messageOf } from '../thrown.js';

/**
 * One way to start a Postgres program. Postgres refuses to run as root, and looks up the name of the user that it runs
 * as; this says how to give it an identity that it accepts and that can reach the programs and the data folder.
 */
export interface ProcessIdentity {
  readonly name: string;
  /** Command words in front of the program. */
  readonly prefix: readonly string[];
  /** Credentials for spawn, where no prefix sets them. */
  readonly credentials: { readonly uid?: number; readonly gid?: number };
  /** Who must own the data folder, as seen from this process; null leaves it alone. */
  readonly owner: Owner | null;
}

interface Owner {
  readonly uid: number;
  readonly gid: number;
}

const NOBODY: Owner = { uid: 65_534, gid: 65_534 };
const ROOT: Owner = { uid: 0, gid: 0 };
const PROBE_TIMEOUT_MS = 10_000;

const plain: ProcessIdentity = { name: 'plain', prefix: [], credentials: {}, owner: null };

/** A user namespace in which this process's own user is called nobody: files stay ours and nothing is chowned. */
function userNamespace(owner: Owner): ProcessIdentity {
  const prefix = ['unshare', '--user', `--map-user=${NOBODY.uid}`, `--map-group=${NOBODY.gid}`];
  return { name: 'user-namespace', prefix, credentials: {}, owner };
}

/** Really nobody, but able to pass folders closed to it, such as a checkout under a private home folder. */
const nobodyWithOverride: ProcessIdentity = {
  name: 'nobody-with-override',
  prefix: [
    'setpriv',
    `--reuid=${NOBODY.uid}`,
    `--regid=${NOBODY.gid}`,
    '--clear-groups',
    '--inh-caps=+dac_override',
    '--ambient-caps=+dac_override',
    // initdb asks access(2), which else forgets the capability of a user other than root.
    '--securebits=+no_setuid_fixup',
  ],
  credentials: {},
  owner: NOBODY,
};

function runningAs(name: string, owner: Owner): ProcessIdentity {
  return { name, prefix: [], credentials: owner, owner };
}

/** What Postgres gets of our environment: none of its secrets, and no PG… variable that would change its ways. */
export function postgresEnvironment(): NodeJS.ProcessEnv {
  const environment = inheritedEnvironment();
  return process.platform === 'win32' ? environment : { PATH: environment.PATH };
}

/** The identities to try for a data folder, best first. */
export function candidateIdentities(dataDir: string): ProcessIdentity[] {
  const uid = process.getuid?.();
  const gid = process.getgid?.();
  if (uid === undefined || gid === undefined) return [plain];
  if (uid !== ROOT.uid) return hasName() ? [plain] : [userNamespace({ uid, gid }), plain];
  const nobody = lookUpNobody();
  const candidates = [userNamespace(ROOT), nobodyWithOverride, runningAs('nobody', nobody)];
  const owner = lstatSync(dataDir, { throwIfNoEntry: false });
  if (owner === undefined || owner.uid === ROOT.uid || owner.uid === nobody.uid) return candidates;
  // Made by a normal user who can then go on using it.
  return [runningAs('data-owner', { uid: owner.uid, gid: owner.gid }), ...candidates];
}

/**
 * Chooses the first identity that can run the program and write the data folder, and hands the folder over to it.
 * @throws PostgresError naming what was tried.
 */
export function chooseIdentity(options: {
  program: string;
  dataDir: string;
  candidates?: readonly ProcessIdentity[];
}): ProcessIdentity {
  const { program, dataDir, candidates = candidateIdentities(dataDir) } = options;
  mkdirSync(dataDir, { recursive: true, mode: 0o700 });
  const failures: string[] = [];
  for (const identity of candidates) {
    const failure = probe({ identity, program, dataDir });
    if (failure === null) return identity;
    failures.push(`  ${identity.name}: ${failure}`);
  }
  throw new PostgresError(
    `Postgres cannot be run on the data folder ${dataDir}:\n${failures.join('\n')}\n` +
      'Start as the owner of that folder, choose another one with DATA_DIR, or set DATABASE_URL to a Postgres of your own.',
  );
}

/** Why an identity does not do, or null if it does. */
function probe(options: { identity: ProcessIdentity; program: string; dataDir: string }): string | null {
  const { identity, program, dataDir } = options;
  try {
    if (identity.owner !== null) handOver(dataDir, identity.owner);
    if (process.platform === 'win32') return null;
    const script = '"$0" --version >/dev/null && : > "$1/.probe" && rm "$1/.probe"';
    const [file = '', ...words] = [...identity.prefix, '/bin/sh', '-c', script, program, dataDir];
    const { status, stderr, error } = spawnSync(file, words, {
      ...identity.credentials,
      cwd: '/',
      env: postgresEnvironment(),
      encoding: 'utf8',
      timeout: PROBE_TIMEOUT_MS,
    });
    if (error !== undefined) return error.message;
    return status === 0 ? null : stderr.trim().replaceAll('\n', ' ') || `ended with ${status ?? 'a signal'}`;
  } catch (error) {
    return messageOf(error);
  }
}

/** Gives a folder and all in it to an owner, unless it is theirs. */
export function handOver(folder: string, owner: Owner): void {
  if (lstatSync(folder).uid === owner.uid) return;
  for (const entry of readdirSync(folder, { recursive: true, encoding: 'utf8' })) {
    lchownSync(join(folder, entry), owner.uid, owner.gid);
  }
  // The folder itself last: it is what says that everything was handed over.
  chownSync(folder, owner.uid, owner.gid);
}

/** Whether the user that runs this process has an entry in the user database, which initdb insists on. */
function hasName(): boolean {
  try {
    return userInfo().username !== '';
  } catch {
    return false;
  }
}

function lookUpNobody(): Owner {
  try {
    const read = (option: string): number =>
      Number(execFileSync('id', [option, 'nobody'], { encoding: 'utf8' }).trim());
    return { uid: read('-u'), gid: read('-g') };
  } catch {
    return NOBODY;
  }
}
