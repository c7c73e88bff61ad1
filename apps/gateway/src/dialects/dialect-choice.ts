import type { DialectName } from '@tollgate/contracts';
import { DIALECT_PROFILES, type RequestDialect } from './dialect-profile.js';

/** What of a request tells its dialect. */
export interface DialectSigns {
  /** The URL as the client sent it. */
  readonly originalUrl: string;
  readonly headers: { readonly host?: string | undefined };
  /** Null before it is known. */
  readonly caller: { readonly dialect: DialectName | null } | null;
  /** Where the request has a key, be it a good one or not. */
  readonly keyPlace: 'headers' | 'body' | 'nowhere';
}

/** Only clients of one dialect call scripts. */
const SCRIPT_URL = /^(?:[a-z][a-z\d+.-]*:\/\/[^/]*)?\/+index\.php(?:[/?]|$)/i;
const SCRIPT_DIALECT = 'xiaoyi';

/** Finds the dialect of a request. */
export class DialectChoice {
  /** @param hosts dialects by host, in lower case and without port */
  constructor(private readonly hosts: ReadonlyMap<string, DialectName>) {}

  /**
   * What the operator set for the key or its account; else by the path that only its clients know; else by the host; else
   * by a key in the body. OpenAI's where nothing tells otherwise.
   */
  of(signs: DialectSigns): RequestDialect {
    const { originalUrl, headers, caller, keyPlace } = signs;
    const isScript = SCRIPT_URL.test(originalUrl);
    const isKeyInBody = keyPlace === 'body' || (keyPlace === 'nowhere' && isScript);
    const name = caller?.dialect ?? (isScript ? SCRIPT_DIALECT : this.ofHost(headers.host));
    return { profile: DIALECT_PROFILES[name ?? (isKeyInBody ? SCRIPT_DIALECT : 'openai')], isKeyInBody };
  }

  private ofHost(host: string | undefined): DialectName | null {
    if (host === undefined || this.hosts.size === 0) return null;
    return this.hosts.get(host.toLowerCase().replace(/:\d*$/, '')) ?? null;
  }
}
