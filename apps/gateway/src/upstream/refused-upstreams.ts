/** A deployment whose address may not be connected to. */
export interface RefusedUpstream {
  readonly id: string;
  readonly origin: string;
  readonly reason: string;
}

/** As much of a logger as is needed here. */
interface ErrorLog {
  error(fields: object, text: string): void;
}

/** Deployments that are remembered at most; beyond them some are told of again. */
const REMEMBERED_MAX = 10_000;

/**
 * Tells the operator once of each deployment that cannot be used because of where it is: nothing but a change of its base
 * URL or of the gateway's policy helps, so a line for each request would say nothing more.
 */
export class RefusedUpstreams {
  private readonly told = new Set<string>();

  constructor(private readonly logger: ErrorLog) {}

  warn({ id, origin, reason }: RefusedUpstream): void {
    const place = `${id} ${origin}`;
    if (this.told.has(place)) return;
    if (this.told.size >= REMEMBERED_MAX) this.told.clear();
    this.told.add(place);
    this.logger.error(
      { deploymentId: id, origin, reason },
      'a deployment may not be connected to: give it another baseUrl, or set UPSTREAM_PRIVATE_NETWORKS=allow if it is ' +
        'in a private network of yours',
    );
  }
}
