import { Controller, Get } from '@nestjs/common';
import { Health } from '@tollgate/runtime';
import { z } from 'zod';
import { Answers } from '../http/openapi.js';
import { readPackageVersion } from './version.js';

const versionSchema = z.strictObject({ name: z.string(), version: z.string() }).meta({ id: 'Version' });

const healthSchema = z
  .strictObject({
    status: z.enum(['ok', 'not_ready']),
    /** By the name of what is missing, why. */
    missing: z.record(z.string(), z.string()),
  })
  .meta({ id: 'Health' });

/** What this process is, and how it does. */
@Controller()
export class AboutController {
  private readonly version = readPackageVersion();

  constructor(private readonly health: Health) {}

  @Answers(versionSchema, { id: 'readVersion' })
  @Get('version')
  readVersion(): z.infer<typeof versionSchema> {
    return { name: 'tollgate', version: this.version };
  }

  @Answers(healthSchema, { id: 'readHealth' })
  @Get('health')
  async readHealth(): Promise<z.infer<typeof healthSchema>> {
    const missing = await this.health.missing();
    return { status: Object.keys(missing).length === 0 ? 'ok' : 'not_ready', missing };
  }
}
