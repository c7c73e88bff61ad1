import { Controller, Get } from '@nestjs/common';
import { CurrentActor, type Actor } from './operator.js';

@Controller('me')
export class MeController {
  /** The operator whose token was sent. */
  @Get()
  read(@CurrentActor() { operator }: Actor): { id: string; name: string } {
    return { id: operator.tokenId, name: operator.name };
  }
}
