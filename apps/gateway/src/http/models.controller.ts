import { Controller, Get, Inject, Param, Req } from '@nestjs/common';
import type { FastifyRequest } from 'fastify';
import { mayUse, type Caller } from '../auth/caller.js';
import { GatewayError } from '../relay/gateway-errors.js';
import { CatalogHolder } from '../routing/catalog-holder.js';
import type { CatalogModel } from '../routing/catalog.js';
import { callerOf } from './authentication.js';

/** A model as clients of several makes read it: OpenAI's members, one-api's, and those of Anthropic's discovery. */
interface ModelObject {
  readonly id: string;
  readonly object: 'model';
  readonly created: number;
  readonly owned_by: string;
  readonly [member: string]: unknown;
}

@Controller('v1/models')
export class ModelsController {
  constructor(@Inject(CatalogHolder) private readonly catalog: CatalogHolder) {}

  @Get()
  list(@Req() request: FastifyRequest): object {
    const caller = callerOf(request);
    const data = this.catalog.current
      .list(caller.plan)
      .filter(({ model }) => mayUse(caller, model.name))
      .map(({ model }) => toModelObject(model));
    return {
      object: 'list',
      data,
      has_more: false,
      first_id: data[0]?.id ?? null,
      last_id: data.at(-1)?.id ?? null,
    };
  }

  /** A wildcard, because names of models hold slashes. */
  @Get('*')
  read(@Req() request: FastifyRequest, @Param('*') name: string): ModelObject {
    return toModelObject(findModel(this.catalog, callerOf(request), name));
  }
}

function findModel(catalog: CatalogHolder, caller: Caller, name: string): CatalogModel {
  const offer = catalog.current.find(name, caller.plan);
  if (offer === null || !mayUse(caller, name)) throw new GatewayError('model_not_found', { model: name });
  return offer.model;
}

function toModelObject(model: CatalogModel): ModelObject {
  const { name, ownedBy, createdAtMs } = model;
  return {
    id: name,
    object: 'model',
    created: Math.floor(createdAtMs / 1_000),
    owned_by: ownedBy,
    shutdown_date: null,
    root: name,
    parent: null,
    permission: [],
    type: 'model',
    display_name: name,
    created_at: new Date(createdAtMs).toISOString(),
  };
}
