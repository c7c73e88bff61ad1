/** Facts about a span. Never a prompt, an answer, a key, a credential, or the name of an account. */
export type SpanAttributes = Readonly<Record<string, string | number | boolean | string[]>>;

export interface SpanOptions {
  /** What the span is in a conversation between processes; `internal` unless told. */
  readonly kind?: 'internal' | 'server' | 'client' | 'producer' | 'consumer';
  readonly attributes?: SpanAttributes;
}

/** One piece of work in a trace. Every method may be called whether or not anything is recorded. */
export interface Span {
  /** W3C `traceparent` of this span, to hand on to who works for it; null where nothing is recorded. */
  readonly traceparent: string | null;
  /** For the log; null where nothing is recorded. */
  readonly traceId: string | null;
  child(name: string, options?: SpanOptions): Span;
  set(attributes: SpanAttributes): void;
  /** Says that the work failed, by a class of errors that has few values. */
  fail(errorType: string): void;
  /** Ends the span; whatever is done to it afterwards changes nothing. */
  end(): void;
}

/** A span of which nothing is recorded. */
export const NO_SPAN: Span = {
  traceparent: null,
  traceId: null,
  child: () => NO_SPAN,
  set: () => undefined,
  fail: () => undefined,
  end: () => undefined,
};

/** Does a part of a span's work within a child of it. */
export async function within<T>(parent: Span, name: string, work: (span: Span) => Promise<T>): Promise<T> {
  if (parent === NO_SPAN) return work(NO_SPAN);
  const span = parent.child(name);
  try {
    return await work(span);
  } catch (error) {
    span.fail(error instanceof Error ? error.name : 'error');
    throw error;
  } finally {
    span.end();
  }
}
