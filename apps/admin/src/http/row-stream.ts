import QueryStream from 'pg-query-stream';

type Done = (error: Error | null) => void;

/**
 * Rows of a cursor. `pg-query-stream` 4.17 waits for the server's last word when it is destroyed: on a connection that is
 * gone it would wait for ever, and so would whoever reads it.
 */
export class RowStream extends QueryStream {
  private lost = false;
  private done: Done | null = null;

  /** Fails the stream because its connection has ended. */
  lose(): void {
    const error = new Error('the connection to the database ended');
    this.lost = true;
    // Where the stream is being destroyed already it cannot be destroyed again. Node takes the first answer only.
    this.done?.(error);
    this.destroy(error);
  }

  override _destroy(error: Error, done: Done): void {
    if (this.lost) {
      done(error);
      return;
    }
    this.done = done;
    super._destroy(error, done);
  }
}
