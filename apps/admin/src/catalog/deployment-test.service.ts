import { Inject, Injectable } from '@nestjs/common';
import { MasterKeyError } from '@tollgate/runtime';
import { DataSource } from 'typeorm';
import { ADMIN_CONFIG, type AdminConfig } from '../admin.config.js';
import { AuditedChanges } from '../audit/audited-changes.js';
import type { Actor } from '../auth/operator.js';
import { Problem, invalidField } from '../http/problem.js';
import { CREDENTIAL_USE, findDeployment, readDeployment } from './deployment-rows.js';
import {
  TESTABLE_APIS,
  type DeploymentTestView,
  type TestDeployment,
  type TestableApi,
} from './deployment-test.schema.js';
import { tryUpstream, type TrialResult } from './deployment-trial.js';
import type { DeploymentView } from './deployment.schema.js';

/** Each waits up to 10 s for an upstream; beyond them nobody could say whose test an upstream is busy with. */
const TESTS_MAX = 4;
const RETRY_AFTER_S = '10';

@Injectable()
export class DeploymentTestService {
  private running = 0;

  constructor(
    private readonly dataSource: DataSource,
    private readonly changes: AuditedChanges,
    @Inject(ADMIN_CONFIG) private readonly config: AdminConfig,
  ) {}

  /**
   * Sends one small request to the upstream with the stored credential; active or not. It changes nothing here but has
   * its row in the audit log: it uses a credential, and the upstream may charge for it.
   * @throws Problem 404; 422 for a model or an API that the deployment does not have; 429 while too many tests run.
   */
  async test(actor: Actor, id: string, asked: TestDeployment): Promise<DeploymentTestView> {
    const { manager } = this.dataSource;
    const { item: deployment } = await readDeployment(manager, id);
    const { model, upstreamModel } = chooseModel(deployment, asked.model);
    const api = chooseApi(deployment, asked.api);
    const { credential } = await findDeployment(manager, id);
    const { baseUrl } = deployment;
    const { requestId } = actor;
    const result = await this.inPlace(() =>
      this.tryWith(credential, { baseUrl, api, upstreamModel, requestId }),
    );
    const answer = { ok: result.error === null, api, model, upstreamModel, ...result };
    const audit = { action: 'deployment.test', target: `deployment/${id}`, before: null, after: answer };
    return this.changes.run(actor, async () => ({ answer, audit: [audit] }));
  }

  private async inPlace(run: () => Promise<TrialResult>): Promise<TrialResult> {
    if (this.running >= TESTS_MAX) {
      throw new Problem(
        'too_many_tests',
        `At most ${TESTS_MAX} tests run at a time. Try again when one of them has ended.`,
        { headers: { 'retry-after': RETRY_AFTER_S } },
      );
    }
    this.running += 1;
    try {
      return await run();
    } finally {
      this.running -= 1;
    }
  }

  private async tryWith(
    sealed: string,
    trial: { baseUrl: string; api: TestableApi; upstreamModel: string; requestId: string },
  ): Promise<TrialResult> {
    let credential: string;
    try {
      credential = this.config.MASTER_KEY.open(CREDENTIAL_USE, sealed);
    } catch (error) {
      if (!(error instanceof MasterKeyError)) throw error;
      const message = 'the credential was sealed with another MASTER_KEY: give it again';
      return { status: null, latencyMs: 0, error: { kind: 'credential_unreadable', message } };
    }
    const privateNetworks = this.config.UPSTREAM_PRIVATE_NETWORKS;
    return tryUpstream({ ...trial, credential, privateNetworks });
  }
}

function chooseModel({ models }: DeploymentView, asked?: string): DeploymentView['models'][number] {
  const [first] = models;
  if (first === undefined) {
    throw invalidField('/model', 'cannot be tested: the deployment serves no model yet');
  }
  const chosen = asked === undefined ? first : models.find(({ model }) => model === asked);
  if (chosen === undefined) throw invalidField('/model', 'is none of the models that the deployment serves');
  return chosen;
}

function chooseApi({ apis }: DeploymentView, asked?: TestableApi): TestableApi {
  const testable = TESTABLE_APIS.filter((api) => apis === null || apis.includes(api));
  const [first] = testable;
  if (first === undefined) {
    throw invalidField('/api', `cannot be tested: the deployment has none of ${TESTABLE_APIS.join(', ')}`);
  }
  if (asked !== undefined && !testable.includes(asked)) {
    throw invalidField('/api', 'is none of the APIs that the deployment has');
  }
  return asked ?? first;
}
