/** Bytes of a request's body at most. */
export const BODY_BYTES_MAX = 32 * 1024 * 1024;

/** Bytes of a request's head at most. */
export const HEADER_BYTES_MAX = 32 * 1024;

/** Characters of a path parameter: ids of models can be long. */
export const PARAM_LENGTH_MAX = 512;

/** Receiving a request may take so long. */
export const REQUEST_TIMEOUT_MS = 300_000;

/** Idle client connections are kept longer than load balancers keep theirs, so that no request meets a closed one. */
export const KEEP_ALIVE_TIMEOUT_MS = 75_000;
