import 'reflect-metadata';
import { runProcess } from '@tollgate/runtime';
import { bootAdmin } from './admin-process.js';

runProcess('admin', () => bootAdmin());
