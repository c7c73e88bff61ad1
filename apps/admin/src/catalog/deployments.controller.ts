import { Body, Controller, Delete, Get, HttpCode, Param, Patch, Post, Query } from '@nestjs/common';
import { CurrentActor, type Actor } from '../auth/operator.js';
import { IfMatch, type Precondition, type Tagged } from '../http/etag.js';
import { idParameters } from '../http/fields.js';
import { Answers } from '../http/openapi.js';
import type { Page } from '../http/page.js';
import {
  deploymentTestSchema,
  testDeploymentSchema,
  type DeploymentTestView,
  type TestDeployment,
} from './deployment-test.schema.js';
import { DeploymentTestService } from './deployment-test.service.js';
import {
  createDeploymentSchema,
  deploymentSchema,
  listDeploymentsSchema,
  patchDeploymentSchema,
  type CreateDeployment,
  type DeploymentView,
  type ListDeployments,
  type PatchDeployment,
} from './deployment.schema.js';
import { DeploymentsService } from './deployments.service.js';

@Controller('deployments')
export class DeploymentsController {
  constructor(
    private readonly deployments: DeploymentsService,
    private readonly tests: DeploymentTestService,
  ) {}

  @Post()
  @Answers(deploymentSchema, { etag: true, problems: ['name_taken', 'external_id_taken'] })
  create(
    @CurrentActor() actor: Actor,
    @Body({ schema: createDeploymentSchema }) asked: CreateDeployment,
  ): Promise<Tagged<DeploymentView>> {
    return this.deployments.create(actor, asked);
  }

  @Get()
  @Answers(deploymentSchema, { page: true })
  list(@Query({ schema: listDeploymentsSchema }) asked: ListDeployments): Promise<Page<DeploymentView>> {
    return this.deployments.list(asked);
  }

  @Get(':id')
  @Answers(deploymentSchema, { etag: true })
  read(@Param({ schema: idParameters }) { id }: { id: string }): Promise<Tagged<DeploymentView>> {
    return this.deployments.read(id);
  }

  @Patch(':id')
  @Answers(deploymentSchema, { etag: true, problems: ['name_taken', 'external_id_taken'] })
  patch(
    @CurrentActor() actor: Actor,
    @Param({ schema: idParameters }) { id }: { id: string },
    @Body({ schema: patchDeploymentSchema }) asked: PatchDeployment,
    @IfMatch() precondition: Precondition,
  ): Promise<Tagged<DeploymentView>> {
    return this.deployments.patch(actor, { id, precondition }, asked);
  }

  @Delete(':id')
  @HttpCode(204)
  @Answers(null)
  delete(
    @CurrentActor() actor: Actor,
    @Param({ schema: idParameters }) { id }: { id: string },
    @IfMatch() precondition: Precondition,
  ): Promise<void> {
    return this.deployments.delete(actor, { id, precondition });
  }

  @Post(':id/test')
  @HttpCode(200)
  @Answers(deploymentTestSchema, { status: 200, id: 'testDeployment', problems: ['too_many_tests'] })
  test(
    @CurrentActor() actor: Actor,
    @Param({ schema: idParameters }) { id }: { id: string },
    @Body({ schema: testDeploymentSchema }) asked: TestDeployment,
  ): Promise<DeploymentTestView> {
    return this.tests.test(actor, id, asked);
  }
}
