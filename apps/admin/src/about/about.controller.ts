import { readFileSync } from 'node:fs';
import { Controller, Get } from '@nestjs/common';
import { Health } from '@tollgate/runtime';
import { z } from 'zod';

/** This file is two folders below the package's root in the source as in the build. */
const PACKAGE_FILE = new URL('../../package.json', import.meta.url);

/** What this process is, and how it does. */
@Controller()
export class AboutController {
  private readonly version = z
    .object({ version: z.string() })
    .parse(JSON.parse(readFileSync(PACKAGE_FILE, 'utf8'))).version;

  constructor(private readonly health: Health) {}

  @Get('version')
  readVersion(): { name: string; version: string } {
    return { name: 'tollgate', version: this.version };
  }

  @Get('health')
  async readHealth(): Promise<{ status: 'ok' | 'not_ready'; missing: Record<string, string> }> {
    const missing = await this.health.missing();
    return { status: Object.keys(missing).length === 0 ? 'ok' : 'not_ready', missing };
  }
}
