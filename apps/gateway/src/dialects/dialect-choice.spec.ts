import type { DialectName } from '@tollgate/contracts';
import { DialectChoice, type DialectSigns } from './dialect-choice.js';
import { parseDialectHosts } from './dialect-hosts.js';

const choice = new DialectChoice(parseDialectHosts('a.example=kuaiai, B.Example=app4gpt,[::1]=apigpt'));
const V1 = '/v1/chat/completions';
const SCRIPT = '/index.php/api/v1/chat/completions';

interface Signs extends Partial<Pick<DialectSigns, 'originalUrl' | 'keyPlace'>> {
  readonly host?: string | undefined;
  readonly callerDialect?: DialectName;
}

function choose(signs: Signs): string {
  const { originalUrl = V1, keyPlace = 'headers', callerDialect } = signs;
  const headers = { host: 'host' in signs ? signs.host : 'other.example' };
  const caller = callerDialect === undefined ? null : { dialect: callerDialect };
  const dialect = choice.of({ originalUrl, headers, caller, keyPlace });
  return `${dialect.profile.name} ${dialect.isKeyInBody ? 'body' : 'headers'}`;
}

describe('DialectChoice', () => {
  it('is OpenAI’s where nothing tells otherwise', () => {
    expect(choose({})).toBe('openai headers');
    expect(choose({ host: undefined, keyPlace: 'nowhere' })).toBe('openai headers');
  });

  it('takes the setting of the key or account before everything', () => {
    const callerDialect = 'chatkore';
    expect(choose({ callerDialect, originalUrl: SCRIPT, host: 'a.example', keyPlace: 'body' })).toBe(
      'chatkore body',
    );
    expect(choose({ callerDialect: 'openai', originalUrl: SCRIPT })).toBe('openai headers');
  });

  it('takes the path before the host', () => {
    expect(choose({ originalUrl: SCRIPT, host: 'a.example' })).toBe('xiaoyi headers');
  });

  it.each([
    ['/index.php/api/v1/chat/completions?a=b', true],
    ['//index.php/v1/models', true],
    ['/index.php', true],
    ['/index.php?x', true],
    ['http://gateway.example/index.php/api/v1/models', true],
    ['/index.phpx/api/v1/models', false],
    ['/v1/models/index.php/x', false],
    ['/api/v1/chat/completions', false],
  ])('knows its path: %s', (originalUrl, isKnown) => {
    expect(choose({ originalUrl })).toBe(isKnown ? 'xiaoyi headers' : 'openai headers');
  });

  it('takes the host in any case and without its port', () => {
    expect(choose({ host: 'A.EXAMPLE:8080' })).toBe('kuaiai headers');
    expect(choose({ host: 'b.example' })).toBe('app4gpt headers');
    expect(choose({ host: '[::1]:8080' })).toBe('apigpt headers');
    expect(choose({ host: 'x.a.example' })).toBe('openai headers');
  });

  it('knows clients by a key in the body where nothing else tells', () => {
    expect(choose({ keyPlace: 'body' })).toBe('xiaoyi body');
    expect(choose({ keyPlace: 'body', host: 'a.example' })).toBe('kuaiai body');
  });

  it('takes no key at all for one that was meant for the body, on its path', () => {
    expect(choose({ keyPlace: 'nowhere', originalUrl: SCRIPT })).toBe('xiaoyi body');
    expect(choose({ keyPlace: 'nowhere', host: 'a.example' })).toBe('kuaiai headers');
  });
});

describe('parseDialectHosts', () => {
  it('reads nothing as no hosts', () => {
    expect(parseDialectHosts('').size).toBe(0);
    expect(parseDialectHosts(' , ').size).toBe(0);
  });

  it.each([
    'a.example',
    'a.example=',
    'a.example=klingon',
    '=kuaiai',
    'a b=kuaiai',
    'a.example:80=kuaiai',
    'a=b=kuaiai',
    'a..b=kuaiai',
  ])('names the part that it cannot read: %s', (part) => {
    expect(() => parseDialectHosts(`ok.example=openai,${part}`)).toThrow(`"${part}"`);
  });
});
