/** A task that is run again and again, never twice at the same time. */
export interface RepeatedTask {
  /** Milliseconds between the end of one run and the beginning of the next. */
  readonly intervalMs: number;
  readonly run: () => Promise<void>;
  /** Told of a run that failed; the next one comes all the same. */
  readonly onError: (error: unknown) => void;
}

/** Runs a task for the first time after its interval. `stop` resolves when the run at hand has ended. */
export function repeatTask(task: RepeatedTask): { stop: () => Promise<void> } {
  let stopped = false;
  let running: Promise<void> = Promise.resolve();
  let timer = schedule();
  function schedule(): NodeJS.Timeout {
    return setTimeout(() => {
      running = task
        .run()
        .catch(task.onError)
        .then(() => {
          if (!stopped) timer = schedule();
        });
    }, task.intervalMs);
  }
  return {
    stop: async () => {
      stopped = true;
      clearTimeout(timer);
      await running;
    },
  };
}
