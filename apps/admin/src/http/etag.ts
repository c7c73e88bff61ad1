import { createHash } from 'node:crypto';
import {
  Injectable,
  createParamDecorator,
  type CallHandler,
  type ExecutionContext,
  type NestInterceptor,
} from '@nestjs/common';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { map, type Observable } from 'rxjs';
import { IF_MATCH_HEADER, documentsHeader } from './openapi.js';
import { Problem } from './problem.js';

/** 128 bits: nobody finds two states with one tag, not even on purpose. */
const TAG_LENGTH = 22;

/**
 * One item as an answer shows it, with the ETag of its state. A handler that returns this sends the item and the header.
 *
 * @param state what the tag stands for, the whole item unless told: leave out what changes without an operator (the
 *   balance of an account moves with every request), or no editor could ever finish; add what operators change and
 *   no answer shows.
 */
export class Tagged<Item extends object> {
  /** A strong entity tag (RFC 9110, 8.8.3), quotes included. */
  readonly tag: string;

  constructor(
    readonly item: Item,
    readonly state: object = item,
  ) {
    const digest = createHash('sha256').update(JSON.stringify(state)).digest('base64url');
    this.tag = `"${digest.slice(0, TAG_LENGTH)}"`;
  }
}

/** The `If-Match` of a request (RFC 9110, 13.1.1): which states of an item the caller is ready to change. */
export class Precondition {
  /** @param tags null where every state will do: no header, or `*`. */
  private constructor(private readonly tags: ReadonlySet<string> | null) {}

  /** Reads the header's value. @throws Problem 400 for what is neither `*` nor a list of entity tags. */
  static parse(header: string | undefined): Precondition {
    if (header === undefined || header.trim() === '*') return new Precondition(null);
    const tags = new Set<string>();
    for (let end = 0; end < header.length; end = LIST_MEMBER.lastIndex) {
      LIST_MEMBER.lastIndex = end;
      const member = LIST_MEMBER.exec(header);
      if (member === null) throw malformed();
      if (member[1] !== undefined) tags.add(member[1]);
    }
    if (tags.size === 0) throw malformed();
    return new Precondition(tags);
  }

  /**
   * Compares with the item as it is now. Call it once the item's row is locked and read under that lock: else two editors
   * with one tag could both win.
   * @throws Problem 412 if the caller has seen another state. A weak tag (`W/`) matches nothing: the comparison is strong.
   */
  require(current: Tagged<object>): void {
    if (this.tags === null || this.tags.has(current.tag)) return;
    throw new Problem(
      'precondition_failed',
      'The resource is not in the state that If-Match names: somebody may have changed it meanwhile. Read it again and ' +
        'send the ETag of that answer.',
    );
  }
}

/** One member of a list of entity tags up to its comma, from `lastIndex` on. Members may be empty; a tag may hold a comma. */
const LIST_MEMBER = /[ \t]*(?:((?:W\/)?"[\x21\x23-\x7e\x80-\xff]*")[ \t]*)?(?:,|$)/y;

function malformed(): Problem {
  return new Problem(
    'malformed_request',
    'If-Match is neither * nor a list of entity tags. Send the ETag of an earlier answer with its quotes.',
  );
}

/** The `If-Match` of the request, as an argument of a handler. */
export const IfMatch = createParamDecorator(
  (_data: unknown, context: ExecutionContext): Precondition => {
    return Precondition.parse(context.switchToHttp().getRequest<FastifyRequest>().headers['if-match']);
  },
  [
    documentsHeader({
      name: IF_MATCH_HEADER,
      description:
        'The ETag of an earlier answer: nothing is changed if somebody else changed the resource meanwhile.',
    }),
  ],
);

/** Sends the tag of a tagged answer as its `ETag`, and the item as its body. */
@Injectable()
export class EtagInterceptor implements NestInterceptor<unknown, unknown> {
  intercept(context: ExecutionContext, next: CallHandler<unknown>): Observable<unknown> {
    const reply = context.switchToHttp().getResponse<FastifyReply>();
    return next.handle().pipe(
      map((answer): unknown => {
        if (!(answer instanceof Tagged)) return answer;
        reply.header('etag', answer.tag);
        return answer.item;
      }),
    );
  }
}
