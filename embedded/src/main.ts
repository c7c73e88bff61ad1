import 'reflect-metadata';
import { runLauncher } from './run-launcher.js';

void runLauncher();
