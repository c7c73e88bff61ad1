import { Body, Controller, Get, Param, Post, Query } from '@nestjs/common';
import { CurrentActor, type Actor } from '../auth/operator.js';
import { idParameters } from '../http/fields.js';
import type { Page } from '../http/page.js';
import {
  createDeploymentSchema,
  listDeploymentsSchema,
  type CreateDeployment,
  type DeploymentView,
  type ListDeployments,
} from './deployment.schema.js';
import { DeploymentsService } from './deployments.service.js';

@Controller('deployments')
export class DeploymentsController {
  constructor(private readonly deployments: DeploymentsService) {}

  @Post()
  create(
    @CurrentActor() actor: Actor,
    @Body({ schema: createDeploymentSchema }) asked: CreateDeployment,
  ): Promise<DeploymentView> {
    return this.deployments.create(actor, asked);
  }

  @Get()
  list(@Query({ schema: listDeploymentsSchema }) asked: ListDeployments): Promise<Page<DeploymentView>> {
    return this.deployments.list(asked);
  }

  @Get(':id')
  read(@Param({ schema: idParameters }) { id }: { id: string }): Promise<DeploymentView> {
    return this.deployments.read(id);
  }
}
