import type { Logger } from '../logger.js';
import type { Span, SpanOptions } from './span.js';
import type { TracingConfig } from './tracing-config.js';

/** Where a span of another process, or of none, stands. */
export interface RootOptions extends SpanOptions {
  /** `traceparent` of the span that this one is a part of; a new trace begins where there is none, or none that can be read. */
  readonly parent?: string | null | undefined;
  /** `traceparent`s of spans that this one has to do with. */
  readonly links?: readonly string[];
  /** Records the span whatever the sampler says: for work on behalf of requests that are recorded already. */
  readonly isForced?: boolean;
}

/** The traces of one process. */
export interface Tracing {
  /** A span that continues another process's trace, or begins one. */
  begin(name: string, options: RootOptions): Span;
  /** Sends what is recorded, for at most a few seconds. */
  stop(): Promise<void>;
}

/** What is known of a process when its traces begin. */
export interface TracedProcess {
  readonly name: string;
  readonly config: TracingConfig;
  readonly logger: Logger;
}
