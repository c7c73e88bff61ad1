import { Body, Controller, Get, Patch } from '@nestjs/common';
import { CurrentActor, type Actor } from '../auth/operator.js';
import { IfMatch, type Precondition, type Tagged } from '../http/etag.js';
import { Answers } from '../http/openapi.js';
import {
  patchSettingsSchema,
  settingsSchema,
  type PatchSettings,
  type SettingsView,
} from './settings.schema.js';
import { SettingsService } from './settings.service.js';

/** What holds for the whole installation. Gateways take a change over within a second. */
@Controller('settings')
export class SettingsController {
  constructor(private readonly settings: SettingsService) {}

  @Answers(settingsSchema, { etag: true })
  @Get()
  read(): Promise<Tagged<SettingsView>> {
    return this.settings.read();
  }

  @Answers(settingsSchema, { etag: true })
  @Patch()
  patch(
    @CurrentActor() actor: Actor,
    @Body({ schema: patchSettingsSchema }) asked: PatchSettings,
    @IfMatch() precondition: Precondition,
  ): Promise<Tagged<SettingsView>> {
    return this.settings.patch(actor, precondition, asked);
  }
}
