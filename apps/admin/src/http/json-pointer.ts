/** A pointer is echoed to the caller: the names in it may be as long as a body. */
const POINTER_LENGTH_MAX = 256;

/** The JSON Pointer (RFC 6901) of a path; cut where a caller's field names make it very long. */
export function pointerOf(path: readonly PropertyKey[]): string {
  const pointer = path.map((step) => `/${String(step).replaceAll('~', '~0').replaceAll('/', '~1')}`).join('');
  // Well formed again if the cut went through a surrogate pair.
  return pointer.length <= POINTER_LENGTH_MAX
    ? pointer
    : `${Buffer.from(pointer.slice(0, POINTER_LENGTH_MAX)).toString()}…`;
}
