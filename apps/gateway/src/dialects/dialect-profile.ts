import type { DialectName } from '@tollgate/contracts';

/** What a request asks for, as far as dialects differ. */
export type Operation = 'chat' | 'completions' | 'embeddings';

/** What a dialect does otherwise than OpenAI: its defaults, what it reads more kindly, and how it answers. */
export interface DialectProfile {
  readonly name: DialectName;
  /** The model that answers where a request names none; null where it has to name one. */
  readonly defaultModels: { readonly [operation in Operation]: string } | null;
  /**
   * Bodies are read whatever their content type, as forms too, with trailing commas and with numbers as text; slips that
   * clients copied out of documents are mended; models that are gone are stood in for.
   */
  readonly isTolerant: boolean;
  /** Characters of a conversation at most; its messages have to alternate. Null where messages may be anything. */
  readonly conversationCharactersMax: number | null;
  /** Completions without `max_tokens` end where the model ends them, not after 16 tokens. */
  readonly hasEndlessCompletions: boolean;
  /** How answers spell the model: as it was asked for, or as Azure would. */
  readonly modelSpelling: 'asked' | 'azure';
  /** Which answers carry `code` and `msg`: none; errors, and all where the key is in the body; all. */
  readonly codes: 'never' | 'on_errors' | 'always';
}

/** How one request is spoken to. */
export interface RequestDialect {
  readonly profile: DialectProfile;
  /** The key came in the body, or none came from a client that would put it there. */
  readonly isKeyInBody: boolean;
}

const CHAT_MODEL = 'gpt-3.5-turbo';
const EMBEDDING_MODEL = 'text-embedding-ada-002';

const openai: DialectProfile = {
  name: 'openai',
  defaultModels: null,
  isTolerant: false,
  conversationCharactersMax: null,
  hasEndlessCompletions: false,
  modelSpelling: 'asked',
  codes: 'never',
};

const app4gpt: DialectProfile = {
  ...openai,
  name: 'app4gpt',
  defaultModels: { chat: CHAT_MODEL, completions: CHAT_MODEL, embeddings: EMBEDDING_MODEL },
  isTolerant: true,
};

const apigpt: DialectProfile = { ...app4gpt, name: 'apigpt', hasEndlessCompletions: true };

/** Every dialect. What stands here and nowhere else is all that the gateway knows of them. */
export const DIALECT_PROFILES: { readonly [name in DialectName]: DialectProfile } = {
  openai,
  app4gpt,
  // Its minimum charge of 4 points for embeddings is a price, not a matter of form.
  chatkore: { ...app4gpt, name: 'chatkore' },
  apigpt,
  'apigpt-azure': { ...apigpt, name: 'apigpt-azure', modelSpelling: 'azure' },
  kuaiai: { ...app4gpt, name: 'kuaiai', codes: 'on_errors' },
  xiaoyi: {
    ...app4gpt,
    name: 'xiaoyi',
    defaultModels: { chat: 'gpt-3.5', completions: 'gpt-3.5', embeddings: EMBEDDING_MODEL },
    conversationCharactersMax: 2_000,
    codes: 'always',
  },
};
