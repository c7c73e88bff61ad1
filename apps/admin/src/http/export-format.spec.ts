import { acceptedFormat, exportHead, exportLines } from './export-format.js';

interface Named {
  readonly name: string | null;
  readonly amount: string;
}

const shape = {
  columns: ['name', 'amount'],
  toCells: ({ name, amount }: Named) => [name, amount],
};

describe('an export as CSV', () => {
  it('has a line of column names and quotes what needs it', () => {
    const rows = [
      { name: 'Ada', amount: '1' },
      { name: 'a "b", c\r\nd', amount: '0' },
      { name: null, amount: '2' },
    ];
    expect(exportHead('csv', shape) + exportLines('csv', shape, rows)).toBe(
      'name,amount\r\nAda,1\r\n"a ""b"", c\r\nd",0\r\n,2\r\n',
    );
  });

  it.each(['=1+1', '+1-1', '-1+1', '@SUM(A1)', '\t=1', '\r=1', '\n=1', '＝1+1', '--1', '-', '-1e5', '-1.'])(
    'disarms %j',
    (name) => {
      const line = exportLines('csv', shape, [{ name, amount: '0' }]);
      expect(line.replace(/^"/, '').startsWith(`'${name}`)).toBe(true);
    },
  );

  it.each(['-1', '-12.5', '0', 'a=b', "'=1", '1-2'])('leaves %j alone', (name) => {
    expect(exportLines('csv', shape, [{ name, amount: '-0.000000001' }])).toBe(`${name},-0.000000001\r\n`);
  });
});

describe('an export as JSON Lines', () => {
  it('has one item to a line and nothing before', () => {
    const rows = [
      { name: '=1\n', amount: '1' },
      { name: null, amount: '-2' },
    ];
    expect(exportHead('jsonl', shape)).toBe('');
    expect(exportLines('jsonl', shape, rows)).toBe(
      '{"name":"=1\\n","amount":"1"}\n{"name":null,"amount":"-2"}\n',
    );
    expect(exportLines('jsonl', shape, [])).toBe('');
  });
});

describe('the format of an export', () => {
  it.each([
    [undefined, 'csv'],
    ['*/*', 'csv'],
    ['text/csv', 'csv'],
    ['Text/CSV;q=0.9, application/x-ndjson', 'csv'],
    ['application/x-ndjson', 'jsonl'],
    ['application/jsonl', 'jsonl'],
    ['application/json, text/csv', 'jsonl'],
  ])('for Accept %j is %s', (accept, format) => {
    expect(acceptedFormat(accept)).toBe(format);
  });
});
