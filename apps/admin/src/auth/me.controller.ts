import { Controller, Get } from '@nestjs/common';
import { z } from 'zod';
import { Answers } from '../http/openapi.js';
import { CurrentActor, type Actor } from './operator.js';

const meSchema = z
  .strictObject({ id: z.uuid(), name: z.string(), access: z.enum(['full', 'read']) })
  .meta({ id: 'Me' });

@Controller('me')
export class MeController {
  /** The operator whose token was sent. */
  @Answers(meSchema)
  @Get()
  read(@CurrentActor() { operator }: Actor): z.infer<typeof meSchema> {
    return { id: operator.tokenId, name: operator.name, access: operator.access };
  }
}
