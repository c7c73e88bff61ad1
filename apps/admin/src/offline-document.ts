import type { OpenAPIObject } from '@nestjs/swagger';
import { createDataSource } from '@tollgate/persistence';
import { Health, MasterKey, createLogger } from '@tollgate/runtime';
import { adminConfigSchema } from './admin.config.js';
import { createAdminApp } from './admin-process.js';
import { createAdminDocument } from './openapi/document.js';

/** The OpenAPI document of the admin API, made without a database: the application is put together, never started. */
export async function describeAdminApi(): Promise<OpenAPIObject> {
  const config = adminConfigSchema.parse({
    DATABASE_URL: 'postgres://nobody@127.0.0.1/none',
    MASTER_KEY: MasterKey.generate(),
  });
  const dataSource = createDataSource(config.DATABASE_URL);
  const app = await createAdminApp(
    { config, dataSource, health: new Health() },
    createLogger('admin', 'silent'),
  );
  return createAdminDocument(app);
}
