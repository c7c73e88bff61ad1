import 'reflect-metadata';
import { loadConfig, runProcess } from '@tollgate/runtime';
import { bootGateway } from './boot.js';
import { gatewayConfigSchema } from './gateway.config.js';

runProcess('gateway', () => bootGateway(loadConfig(gatewayConfigSchema)));
