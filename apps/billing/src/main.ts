import 'reflect-metadata';
import { loadConfig, runProcess } from '@tollgate/runtime';
import { bootBilling } from './boot.js';
import { billingConfigSchema } from './billing.config.js';

runProcess('billing', () => bootBilling(loadConfig(billingConfigSchema)));
