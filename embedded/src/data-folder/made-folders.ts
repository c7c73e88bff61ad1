import { accessSync, constants, mkdirSync, rmdirSync } from 'node:fs';
import { dirname, relative } from 'node:path';
import { LaunchError } from '../launch-error.js';
import { codeOf } from '../thrown.js';

/** Folders that a start or a restore makes before it knows whether it can go on; if it cannot, they go again. */
export class MadeFolders {
  private readonly made: string[] = [];

  /**
   * Makes a folder that this process can write. Passable but not listable by others: Postgres may have to run as another
   * user. What is secret is 0600 in itself.
   * @throws LaunchError that names DATA_DIR
   */
  make(path: string): void {
    try {
      const first = mkdirSync(path, { recursive: true, mode: 0o711 });
      if (first !== undefined) this.made.push(...pathsBetween(first, path));
      accessSync(path, constants.R_OK | constants.W_OK | constants.X_OK);
    } catch (cause) {
      this.removeEmpty();
      const reason =
        codeOf(cause) === 'EACCES'
          ? 'may not be written by this user'
          : `cannot be made (${codeOf(cause) ?? '?'})`;
      throw new LaunchError(
        `The data folder ${path} ${reason}. Name one that can with DATA_DIR, or give it to this user.`,
        { cause },
      );
    }
  }

  /** Removes those that are empty, the last made first. */
  removeEmpty(): void {
    for (let path = this.made.pop(); path !== undefined; path = this.made.pop()) {
      try {
        rmdirSync(path);
      } catch {
        // It is in use: then it stays, and so do those around it.
      }
    }
  }
}

/** `/a/b` and `/a/b/c/d` make `/a/b`, `/a/b/c`, `/a/b/c/d`. */
function pathsBetween(first: string, last: string): string[] {
  const paths = [last];
  for (let path = last; relative(first, path) !== '';) {
    path = dirname(path);
    paths.unshift(path);
  }
  return paths;
}
