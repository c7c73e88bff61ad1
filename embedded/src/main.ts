import 'reflect-metadata';
import { runCommand } from './commands/run-command.js';

void runCommand(process.argv.slice(2));
