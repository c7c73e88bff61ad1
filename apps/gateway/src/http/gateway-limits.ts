/** Bytes of a request's body at most, also once it is decompressed. */
export const BODY_BYTES_MAX = 32 * 1024 * 1024;

/** Bytes of a body that is read before its sender is known, because the credential may be in it. */
export const STRANGER_BODY_BYTES_MAX = 64 * 1024;

/** Bytes of a request's head at most. */
export const HEADER_BYTES_MAX = 32 * 1024;

/** Characters of a path parameter: ids of models can be long. */
export const PARAM_LENGTH_MAX = 512;

/** Receiving a head may take so long, counted from the connection's beginning or from the head's first byte. */
export const HEADERS_TIMEOUT_MS = 30_000;

/** Receiving a request, its body too, may take so long: 32 MiB over a line of 1 Mbit/s. */
export const REQUEST_TIMEOUT_MS = 300_000;

/** How often connections are looked through for those two. */
export const TIMEOUT_CHECK_INTERVAL_MS = 5_000;

/** Idle client connections are kept longer than load balancers keep theirs, so that no request meets a closed one. */
export const KEEP_ALIVE_TIMEOUT_MS = 75_000;

/** A client that takes nothing of its answer for so long is gone, whatever its socket says. */
export const CLIENT_STALL_MAX_MS = 120_000;

/** Connections of clients at most: below what a process may have open, so that upstreams and Postgres stay reachable. */
export const CONNECTIONS_MAX = 10_000;

/** How long a refused connection stays open so that the refusal can be read. */
export const LINGER_MS = 2_000;
