/** The error object of the OpenAI API. All four keys are always present. */
export interface ErrorObject {
  readonly message: string;
  readonly type: string;
  readonly param: string | null;
  readonly code: string | null;
  /** A finer reason than the code, which clients match. Not a member of OpenAI's. */
  readonly reason?: string;
}

/** A refusal's body: `error` is always an object with a string `message`, or SDKs show nothing. */
export interface ErrorEnvelope {
  readonly error: ErrorObject;
}

/** Wraps an error as every endpoint of the public surface answers it. */
export function errorEnvelope(error: ErrorObject): ErrorEnvelope {
  const { message, type, param, code, reason } = error;
  return { error: { message, type, param, code, ...(reason !== undefined && { reason }) } };
}
