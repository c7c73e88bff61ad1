import { Controller, Get, Inject, Param, Req } from '@nestjs/common';
import type { FastifyRequest } from 'fastify';
import { mayUse, type Caller } from '../auth/caller.js';
import { GatewayError } from '../relay/gateway-errors.js';
import { CatalogHolder } from '../routing/catalog-holder.js';
import type { CatalogModel } from '../routing/catalog.js';
import { callerOf } from './authentication.js';
import {
  toAzureDeploymentObject,
  toAzureModelObject,
  toLegacyObject,
  toModelObject,
  type ModelObject,
} from './model-objects.js';

/**
 * The models that a key may use, in the shapes of several generations of clients. Single ones are read through wildcards,
 * because names of models hold slashes.
 */
@Controller()
export class ModelsController {
  constructor(@Inject(CatalogHolder) private readonly catalog: CatalogHolder) {}

  @Get('v1/models')
  list(@Req() request: FastifyRequest): object {
    const data = this.usable(callerOf(request)).map(toModelObject);
    return {
      object: 'list',
      data,
      has_more: false,
      first_id: data[0]?.id ?? null,
      last_id: data.at(-1)?.id ?? null,
    };
  }

  @Get('v1/models/*')
  read(@Req() request: FastifyRequest, @Param('*') name: string): ModelObject {
    return toModelObject(this.find(callerOf(request), name));
  }

  @Get('v1/engines')
  listLegacy(@Req() request: FastifyRequest): object {
    return { object: 'list', data: this.usable(callerOf(request)).map(toLegacyObject) };
  }

  @Get('v1/engines/*')
  readLegacy(@Req() request: FastifyRequest, @Param('*') name: string): object {
    return toLegacyObject(this.find(callerOf(request), name));
  }

  @Get('openai/models')
  listAzureModels(@Req() request: FastifyRequest): object {
    return { object: 'list', data: this.usable(callerOf(request)).map(toAzureModelObject) };
  }

  @Get('openai/models/*')
  readAzureModel(@Req() request: FastifyRequest, @Param('*') name: string): object {
    return toAzureModelObject(this.find(callerOf(request), name));
  }

  @Get('openai/deployments')
  listAzureDeployments(@Req() request: FastifyRequest): object {
    return { object: 'list', data: this.usable(callerOf(request)).map(toAzureDeploymentObject) };
  }

  @Get('openai/deployments/*')
  readAzureDeployment(@Req() request: FastifyRequest, @Param('*') name: string): object {
    return toAzureDeploymentObject(this.find(callerOf(request), name));
  }

  private usable(caller: Caller): CatalogModel[] {
    const offers = this.catalog.current.list(caller.plan);
    return offers.map(({ model }) => model).filter(({ name }) => mayUse(caller, name));
  }

  private find(caller: Caller, name: string): CatalogModel {
    const offer = this.catalog.current.find(name, caller.plan);
    if (offer === null || !mayUse(caller, name)) throw new GatewayError('model_not_found', { model: name });
    return offer.model;
  }
}
