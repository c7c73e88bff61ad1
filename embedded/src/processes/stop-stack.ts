import { messageOf } from '../thrown.js';

/** What has to be stopped, in the order opposite to that of starting. */
export class StopStack {
  private readonly steps: { name: string; stop: () => Promise<void> | void }[] = [];

  constructor(private readonly report: (message: string) => void) {}

  push(name: string, stop: () => Promise<void> | void): void {
    this.steps.push({ name, stop });
  }

  /** Stops everything, last started first. One that fails does not keep the others from being stopped. */
  async stopAll(): Promise<void> {
    for (let step = this.steps.pop(); step !== undefined; step = this.steps.pop()) {
      try {
        await step.stop();
      } catch (error) {
        this.report(`${step.name}: could not be stopped in order: ${messageOf(error)}`);
      }
    }
  }
}
