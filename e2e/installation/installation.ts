import type { FakeUpstream } from '@tollgate/testing';
import type { Pool } from 'pg';
import type { AdminApi } from './admin-api.js';
import type { Log, LogCanaries } from './log-canaries.js';

/** The processes of ours that every installation has; in compose there are two gateways. */
export type App = 'gateway' | 'billing' | 'admin';

/** A running Tollgate as a test sees it, whichever way it was started. */
export interface Installation {
  /** Origin of the gateways' `/v1`. */
  readonly gatewayUrl: string;
  /** Origin of the admin API. */
  readonly adminUrl: string;
  /** The operator token that the first run printed. */
  readonly operatorToken: string;
  /** Address of the test's own machine as the gateways see it: a server of the test listens there. */
  readonly testHost: string;
  /** Whether clients reach the gateways through a proxy, which has their connections. */
  readonly isProxied: boolean;
  /** What no log of this installation may hold; checked by `discard`. */
  readonly canaries: LogCanaries;

  admin(operatorToken?: string): AdminApi;
  /** Connections to the ledger's database as the application's role: a test looks, it does not touch. */
  database(): Pool;
  /** A fake upstream that the gateways reach; `stop` ends it where it was started for this file only. */
  startUpstream(): Promise<FakeUpstream>;

  /** Process ids on this machine, of those that run at this moment. */
  pidsOf(app: App): number[];
  /** Ends all processes of an app with SIGKILL; answers the ids that they had. */
  kill(app: App): number[];
  /** Stops the apps as an operator does; answers the exit code, the worst one of several. The data stays. */
  stop(): Promise<number | null>;
  /** Starts again what was stopped, with the same data and the same addresses. */
  resume(): Promise<void>;
  /** What `npm run audit`, or its twin in a container, prints about the books. @throws Error where they are wrong. */
  audit(): Promise<string>;
  /** What the processes wrote to their logs since this spec file began. */
  logs(): Log[];
  /**
   * The end of a spec file.
   * @throws Error with each log line that holds a secret, a prompt or an answer.
   */
  discard(): Promise<void>;
}
