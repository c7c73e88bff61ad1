import { answerText, behaviourSchema, marker } from '@tollgate/testing';

/** A word that stands in every secret and in every error of a test's upstream. */
export const UPSTREAM_CANARY = 'zebracanary';
/** A word for prompts and answers that nothing else has. */
export const CONTENT_CANARY = 'flamingocanary';

/** What prompts and answers of all spec files are full of. */
const CONTENTS = [
  UPSTREAM_CANARY,
  CONTENT_CANARY,
  marker('').slice(0, -1),
  answerText(behaviourSchema.parse({}), 2),
];

/** What a key or a token looks like, whoever made it; those in the logs are masked. */
const SECRET_SHAPES = [/sk-[A-Za-z0-9]{20,}/, /tgop_[A-Za-z0-9]{20,}/];

const LEAKS_SHOWN = 10;
const LEAK_CHARACTERS_SHOWN = 2_000;
/** Short values would be found by chance. */
const SECRET_CHARACTERS_MIN = 8;

/** Lines of the logs of one process or container. */
export interface Log {
  readonly name: string;
  readonly text: string;
}

/** Everything that a test knows and no log may say. */
export class LogCanaries {
  private readonly secrets = new Set<string>();

  constructor() {
    for (const content of CONTENTS) this.watch(content);
  }

  /** @throws RangeError if the secret is too short to be told from other text. */
  watch(secret: string): void {
    if (secret.length < SECRET_CHARACTERS_MIN) {
      throw new RangeError('this secret is too short to be looked for');
    }
    this.secrets.add(secret);
    // As it stands in a URL and in a line of JSON.
    this.secrets.add(encodeURIComponent(secret));
    this.secrets.add(JSON.stringify(secret).slice(1, -1));
  }

  /** Watches the keys, tokens and credentials in the JSON of a call of the admin API, however deep they are. */
  watchJson(value: unknown): void {
    if (typeof value !== 'object' || value === null) return;
    for (const [name, member] of Object.entries(value)) {
      if (typeof member !== 'string') this.watchJson(member);
      else if (name === 'credential' || SECRET_SHAPES.some((shape) => shape.test(member))) this.watch(member);
    }
  }

  /** The lines that give something away, with the name of their log; none in good logs. */
  leaksIn(logs: readonly Log[]): string[] {
    return logs.flatMap(({ name, text }) =>
      text
        .split('\n')
        .filter((line) => this.givesAway(line))
        .map((line) => `${name}: ${line}`),
    );
  }

  private givesAway(line: string): boolean {
    if (SECRET_SHAPES.some((shape) => shape.test(line))) return true;
    for (const secret of this.secrets) if (line.includes(secret)) return true;
    return false;
  }
}

/** @throws Error with the first lines that give something away, if there are any. */
export function expectNoLeaks(leaks: readonly string[]): void {
  if (leaks.length === 0) return;
  const shown = leaks.slice(0, LEAKS_SHOWN).map((line) => line.slice(0, LEAK_CHARACTERS_SHOWN));
  throw new Error(`${leaks.length} log lines give something away:\n${shown.join('\n')}`);
}
