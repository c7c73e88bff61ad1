import { Controller, Get, Param, Query, Res } from '@nestjs/common';
import type { FastifyReply } from 'fastify';
import { EXPORT_MEDIA_TYPES } from '../http/export-format.js';
import { Exports } from '../http/exports.js';
import { idParameters } from '../http/fields.js';
import { Answers } from '../http/openapi.js';
import type { Page } from '../http/page.js';
import {
  exportAccountTransfersSchema,
  exportTransfersSchema,
  listAccountTransfersSchema,
  listTransfersSchema,
  transferSchema,
  type ExportAccountTransfers,
  type ExportTransfers,
  type ListAccountTransfers,
  type ListTransfers,
  type TransferView,
} from './transfer.schema.js';
import { TransfersService } from './transfers.service.js';

@Controller()
export class TransfersController {
  constructor(
    private readonly transfers: TransfersService,
    private readonly exports: Exports,
  ) {}

  @Answers(transferSchema, { id: 'listTransfersOfAccount', page: true })
  @Get('accounts/:id/transfers')
  listOfAccount(
    @Param({ schema: idParameters }) { id }: { id: string },
    @Query({ schema: listAccountTransfersSchema }) asked: ListAccountTransfers,
  ): Promise<Page<TransferView>> {
    return this.transfers.listOfAccount(id, asked);
  }

  @Answers(null, {
    id: 'exportTransfersOfAccount',
    files: EXPORT_MEDIA_TYPES,
    problems: ['too_many_exports'],
    summary: "Export an account's transfers as CSV or JSON Lines",
  })
  @Get('accounts/:id/transfers/export')
  async exportOfAccount(
    @Res() reply: FastifyReply,
    @Param({ schema: idParameters }) { id }: { id: string },
    @Query({ schema: exportAccountTransfersSchema }) { format, ...filters }: ExportAccountTransfers,
  ): Promise<void> {
    await this.exports.send(reply, format, await this.transfers.exportOfAccount(id, filters));
  }

  @Answers(transferSchema, { id: 'listTransfers', page: true })
  @Get('transfers')
  list(@Query({ schema: listTransfersSchema }) asked: ListTransfers): Promise<Page<TransferView>> {
    return this.transfers.list(asked);
  }

  @Answers(null, {
    id: 'exportTransfers',
    files: EXPORT_MEDIA_TYPES,
    problems: ['too_many_exports'],
    summary: 'Export transfers as CSV or JSON Lines',
  })
  @Get('transfers/export')
  export(
    @Res() reply: FastifyReply,
    @Query({ schema: exportTransfersSchema }) { format, ...filters }: ExportTransfers,
  ): Promise<void> {
    return this.exports.send(reply, format, this.transfers.export(filters));
  }
}
