import { Module, type DynamicModule, type OnApplicationShutdown } from '@nestjs/common';
import { APP_GUARD, APP_INTERCEPTOR, APP_PIPE } from '@nestjs/core';
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
import { OperatorTokensController } from './auth/operator-tokens.controller.js';
import { OperatorTokensService } from './auth/operator-tokens.service.js';
import { OperatorAuthenticator } from './auth/operator-authenticator.js';
import { DeploymentTestService } from './catalog/deployment-test.service.js';
import { DeploymentsController } from './catalog/deployments.controller.js';
import { DeploymentsService } from './catalog/deployments.service.js';
import { ModelsController } from './catalog/models.controller.js';
import { ModelsService } from './catalog/models.service.js';
import { PricesController } from './catalog/prices.controller.js';
import { PricesService } from './catalog/prices.service.js';
import { CreditsController } from './credits/credits.controller.js';
import { CreditsService } from './credits/credits.service.js';
import { TransfersController } from './credits/transfers.controller.js';
import { TransfersService } from './credits/transfers.service.js';
import { DeadLetterReads } from './dead-letters/dead-letter-reads.js';
import { DeadLettersController } from './dead-letters/dead-letters.controller.js';
import { DeadLettersService } from './dead-letters/dead-letters.service.js';
import { AdminPockets } from './escrows/admin-pockets.js';
import { ADMIN_POCKETS, EscrowReturn } from './escrows/escrow-return.js';
import { EscrowStopsController } from './escrows/escrow-stops.controller.js';
import { EscrowStopsService } from './escrows/escrow-stops.service.js';
import { EtagInterceptor } from './http/etag.js';
import { Exports } from './http/exports.js';
import { InputPipe } from './http/input.pipe.js';
import { PageReader } from './http/page.js';
import { QueryGuard } from './http/query.guard.js';
import { ReportReads } from './reports/report-reads.js';
import { ReportsController } from './reports/reports.controller.js';
import { RevenueReportService } from './reports/revenue-report.service.js';
import { UsageReportService } from './reports/usage-report.service.js';
import { AdminTelemetry } from './telemetry/admin-telemetry.js';
import { SettingsController } from './settings/settings.controller.js';
import { SettingsService } from './settings/settings.service.js';
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
    OperatorTokensController,
    SettingsController,
    AccountsController,
    ApiKeysController,
    CreditsController,
    TransfersController,
    ModelsController,
    DeploymentsController,
    PricesController,
    UsageController,
    ReportsController,
    DeadLettersController,
    EscrowStopsController,
    AuditController,
  ],
  providers: [
    OperatorAuthenticator,
    OperatorTokensService,
    SettingsService,
    DeadLetterReads,
    DeadLettersService,
    EscrowReturn,
    EscrowStopsService,
    PageReader,
    Exports,
    AuditedChanges,
    AccountsService,
    ApiKeysService,
    CreditsService,
    TransfersService,
    ModelsService,
    DeploymentsService,
    DeploymentTestService,
    PricesService,
    UsageService,
    ReportReads,
    UsageReportService,
    RevenueReportService,
    AuditService,
    { provide: APP_PIPE, useClass: InputPipe },
    { provide: APP_GUARD, useClass: QueryGuard },
    { provide: APP_INTERCEPTOR, useClass: EtagInterceptor },
  ],
})
export class AdminModule implements OnApplicationShutdown {
  constructor(private readonly dataSource: DataSource) {}

  static with(parts: AdminParts, telemetry: AdminTelemetry): DynamicModule {
    const { config, dataSource, health } = parts;
    const pockets = config.REDIS_URL === undefined ? null : new AdminPockets(config.REDIS_URL);
    return {
      module: AdminModule,
      providers: [
        { provide: ADMIN_CONFIG, useValue: config },
        { provide: DataSource, useValue: dataSource },
        { provide: Health, useValue: health },
        { provide: AdminTelemetry, useValue: telemetry },
        { provide: ADMIN_POCKETS, useValue: pockets },
      ],
    };
  }
  /** Runs once the last request is answered. */
  async onApplicationShutdown(): Promise<void> {
    await this.dataSource.destroy();
  }
}
