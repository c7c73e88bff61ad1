/** Tollgate cannot be started. The message is for the operator: what is wrong, and what to do about it. */
export class LaunchError extends Error {
  override readonly name = 'LaunchError';
}
