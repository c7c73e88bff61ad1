import { Module, type DynamicModule, type OnApplicationShutdown } from '@nestjs/common';
import { APP_PIPE } from '@nestjs/core';
import { Health } from '@tollgate/runtime';
import { DataSource } from 'typeorm';
import { AboutController } from './about/about.controller.js';
import { AccountsController } from './accounts/accounts.controller.js';
import { AccountsService } from './accounts/accounts.service.js';
import { ADMIN_CONFIG, type AdminConfig } from './admin.config.js';
import { ApiKeysController } from './api-keys/api-keys.controller.js';
import { ApiKeysService } from './api-keys/api-keys.service.js';
import { AuditController } from './audit/audit.controller.js';
import { AuditService } from './audit/audit.service.js';
import { AuditedChanges } from './audit/audited-changes.js';
import { MeController } from './auth/me.controller.js';
import { OperatorAuthenticator } from './auth/operator-authenticator.js';
import { DeploymentsController } from './catalog/deployments.controller.js';
import { DeploymentsService } from './catalog/deployments.service.js';
import { ModelsController } from './catalog/models.controller.js';
import { ModelsService } from './catalog/models.service.js';
import { PricesController } from './catalog/prices.controller.js';
import { PricesService } from './catalog/prices.service.js';
import { CreditsController } from './credits/credits.controller.js';
import { CreditsService } from './credits/credits.service.js';
import { TransfersService } from './credits/transfers.service.js';
import { InputPipe } from './http/input.pipe.js';
import { PageReader } from './http/page.js';
import { UsageController } from './usage/usage.controller.js';
import { UsageService } from './usage/usage.service.js';

/** What the module is given: it makes no outside thing itself. */
export interface AdminParts {
  readonly config: AdminConfig;
  /** Connected. It is closed with the application. */
  readonly dataSource: DataSource;
  readonly health: Health;
}

@Module({
  controllers: [
    AboutController,
    MeController,
    AccountsController,
    ApiKeysController,
    CreditsController,
    ModelsController,
    DeploymentsController,
    PricesController,
    UsageController,
    AuditController,
  ],
  providers: [
    OperatorAuthenticator,
    PageReader,
    AuditedChanges,
    AccountsService,
    ApiKeysService,
    CreditsService,
    TransfersService,
    ModelsService,
    DeploymentsService,
    PricesService,
    UsageService,
    AuditService,
    { provide: APP_PIPE, useClass: InputPipe },
  ],
})
export class AdminModule implements OnApplicationShutdown {
  constructor(private readonly dataSource: DataSource) {}

  static with({ config, dataSource, health }: AdminParts): DynamicModule {
    return {
      module: AdminModule,
      providers: [
        { provide: ADMIN_CONFIG, useValue: config },
        { provide: DataSource, useValue: dataSource },
        { provide: Health, useValue: health },
      ],
    };
  }
  /** Runs once the last request is answered. */
  async onApplicationShutdown(): Promise<void> {
    await this.dataSource.destroy();
  }
}
