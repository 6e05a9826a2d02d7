import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { UsageError } from '../../src/errors.ts';
import {
  alsoMatches,
  matchesName,
  type NameMatch,
  parseName,
  parsePattern,
  parseSuffix,
} from '../../src/policy/name.ts';

const suffix = (text: string): NameMatch => ({ kind: 'suffix', suffix: text });
const exact = (name: string): NameMatch => ({ kind: 'exact', name });
const pattern = (text: string): NameMatch => ({ kind: 'pattern', pattern: text });
const label63 = 'a'.repeat(63);
const name253 = [label63, label63, label63, 'b'.repeat(61)].join('.');

function isUsageError(words: readonly string[]): (error: unknown) => boolean {
  return (error) => {
    assert.ok(error instanceof UsageError);
    for (const word of words)
      assert.ok(error.message.includes(word), `"${word}" is not in "${error.message}"`);
    return true;
  };
}

describe('parseSuffix takes', () => {
  const rows: readonly (readonly [text: string, suffix: string])[] = [
    ['.gitlab.com', '.gitlab.com'],
    ['ome.com', 'ome.com'],
    ['Docker.IO', 'docker.io'],
    ['docker.io.', 'docker.io'],
    ['.com.', '.com'],
    ['com', 'com'],
    ['_dmarc.example.com', '_dmarc.example.com'],
    ['-cdn.example.com', '-cdn.example.com'],
    ['bücher.example', 'xn--bcher-kva.example'],
    ['BÜCHER.example', 'xn--bcher-kva.example'],
    ['bu\u0308cher.example', 'xn--bcher-kva.example'],
    ['.日本。example', '.xn--wgv71a.example'],
    ['straße.example', 'xn--strae-oqa.example'],
    ['XN--bcher-KVA.example', 'xn--bcher-kva.example'],
    ['１２３.example', '123.example'],
    [`${label63}.example`, `${label63}.example`],
    [name253, name253],
    [`${name253}.`, name253],
    ['10.0.0.1.example', '10.0.0.1.example'],
  ];
  for (const [text, expected] of rows) {
    test(JSON.stringify(text), () => assert.deepEqual(parseSuffix(text), suffix(expected)));
  }
});

describe('parsePattern takes', () => {
  const rows: readonly (readonly [text: string, match: NameMatch])[] = [
    ['www.example.com', exact('www.example.com')],
    ['WWW.Example.com.', exact('www.example.com')],
    ['localhost', exact('localhost')],
    ['_sip._tcp.example.com', exact('_sip._tcp.example.com')],
    ['bücher.example', exact('xn--bcher-kva.example')],
    ['*', pattern('*')],
    ['*.', pattern('*')],
    ['*.Example.com', pattern('*.example.com')],
    ['*.bücher.example', pattern('*.xn--bcher-kva.example')],
    ['api-*.*.example.com', pattern('api-*.*.example.com')],
    ['a*b*c.example', pattern('a*b*c.example')],
    ['**.example.com', suffix('.example.com')],
    ['**.Example.com.', suffix('.example.com')],
    ['**.com', suffix('.com')],
    ['**.*.example.com', pattern('**.*.example.com')],
    ['**.Api-*.example.com.', pattern('**.api-*.example.com')],
  ];
  for (const [text, match] of rows) {
    test(JSON.stringify(text), () => assert.deepEqual(parsePattern(text), match));
  }
});

describe('a name that is refused', () => {
  const rows: readonly (readonly [text: string, hint: string])[] = [
    ['', 'empty'],
    [' ', 'empty'],
    ['\t', 'empty'],
    ['.', 'empty'],
    ['..', 'empty'],
    ['a..b', 'empty label'],
    ['example.com..', 'empty label'],
    ['a b.com', 'in a name'],
    [' a.com', 'in a name'],
    ['a.com\n', 'in a name'],
    ['a\tü.com', 'in a name'],
    ['a/b.com', 'in a name'],
    ['https://a.com', 'in a name'],
    ['a.com:443', 'in a name'],
    ['a@b.com', 'in a name'],
    ['a%62.com', 'in a name'],
    ['ü%62.com', 'in a name'],
    ['a\\.com', 'in a name'],
    ['a\0.com', 'in a name'],
    ['a?.com', 'in a name'],
    ['\ud800.com', 'in a name'],
    ['\u00ad.com', 'in a name'],
    ['℀.com', 'in a name'],
    ['xn--ü.com', 'in a name'],
    [`${label63}a.com`, '64 characters'],
    [`${'ü'.repeat(64)}.com`, 'label of'],
    [`a${name253}`, '64 characters'],
    [`a.${name253}`, '255 characters'],
    ['192.0.2.1', '-cidr'],
    ['2001:db8::1', '-cidr'],
  ];
  for (const [text, hint] of rows) {
    for (const parse of [parseSuffix, parsePattern, parseName]) {
      test(`by ${parse.name}: ${JSON.stringify(text.slice(0, 20))}`, () => {
        assert.throws(() => parse(text), isUsageError([`"${text}"`, hint]));
      });
    }
  }
});

describe('parseSuffix refuses', () => {
  const rows: readonly (readonly [text: string, hint: string])[] = [
    ['*.example.com', '-name and "names" only'],
    ['**.example.com', '-name and "names" only'],
    ['a*', '-name and "names" only'],
    ['..example.com', 'empty label'],
    [`.${name253}`, '254 characters'],
  ];
  for (const [text, hint] of rows) {
    test(text.slice(0, 20), () => assert.throws(() => parseSuffix(text), isUsageError([text, hint])));
  }
});

describe('parsePattern refuses', () => {
  const rows: readonly (readonly [text: string, hint: string])[] = [
    ['**', '**.example.com'],
    ['**.', '**.example.com'],
    ['***', '**.example.com'],
    ['***.example.com', '**.example.com'],
    ['a.**.example.com', '**.example.com'],
    ['a**.example.com', '**.example.com'],
    ['**a.example.com', '**.example.com'],
    ['**.**.example.com', '**.example.com'],
    ['**..com', 'empty label'],
    ['.example.com', 'write **.example.com'],
    ['.*.com', 'begins with a dot'],
    ['*..com', 'empty label'],
    ['ü*.com', "can't be in a name"],
    ['*/.com', "can't be in a name"],
    [`*${label63}.com`, '64 characters'],
    [`**.${name253}`, '254 characters'],
  ];
  for (const [text, hint] of rows) {
    test(text.slice(0, 20), () => assert.throws(() => parsePattern(text), isUsageError([text, hint])));
  }
});

test('parseName refuses a pattern', () => {
  assert.throws(() => parseName('*.example.com'), isUsageError(['"*.example.com"']));
});

describe('matchesName', () => {
  const rows: readonly (readonly [
    match: NameMatch,
    matched: readonly string[],
    others: readonly string[],
  ])[] = [
    [
      suffix('.gitlab.com'),
      ['www.gitlab.com', 'a.b.gitlab.com', 'WWW.GitLab.com.'],
      ['gitlab.com', 'xgitlab.com', 'www.gitlab.com.evil.test', ''],
    ],
    [suffix('ome.com'), ['ome.com', 'home.com', 'www.rome.com'], ['me.com', 'ome.com.evil.test']],
    [exact('www.a.test'), ['www.a.test', 'WWW.a.test.'], ['a.test', 'x.www.a.test', 'wwwxa.test', '']],
    [pattern('*'), ['localhost', 'a'], ['a.b', '', '.']],
    [pattern('*.a.test'), ['www.a.test', 'x.a.test.'], ['a.test', 'b.www.a.test', 'wwwa.test']],
    [pattern('api*.a.test'), ['api.a.test', 'api1.a.test'], ['xapi.a.test', 'api.x.a.test']],
    [pattern('*.*'), ['a.b'], ['a', 'a.b.c']],
    [pattern('a*b*c.test'), ['abc.test', 'axbbxc.test', 'abcabc.test'], ['ab.test', 'acb.test', 'abcx.test']],
    [
      pattern('**.api-*.a.test'),
      ['x.api-1.a.test', 'x.y.api-.a.test'],
      ['api-1.a.test', 'x.api-1.b.a.test', 'x.web-1.a.test', '.api-1.a.test'.slice(1)],
    ],
    [pattern('www.*.test'), ['www.a.test'], ['www.test', 'www.a.b.test']],
  ];
  for (const [match, matched, others] of rows) {
    for (const name of matched) {
      test(`${JSON.stringify(match)} is ${JSON.stringify(name)}`, () =>
        assert.equal(matchesName(match, name), true));
    }
    for (const name of others) {
      test(`${JSON.stringify(match)} is not ${JSON.stringify(name)}`, () =>
        assert.equal(matchesName(match, name), false));
    }
  }

  test('takes a label full of stars in its stride', () => {
    const stars = pattern(`${'a*'.repeat(31)}.test`);
    assert.equal(matchesName(stars, `${'a'.repeat(62)}b.test`), true);
    assert.equal(matchesName(stars, `${'b'.repeat(63)}.test`), false);
  });
});

describe('alsoMatches', () => {
  const rows: readonly (readonly [suffix: string, name: string | undefined])[] = [
    ['ome.com', 'home.com'],
    ['docker.io', 'notdocker.io'],
    ['com', 'notcom'],
    ['.docker.io', undefined],
    [`${'b'.repeat(61)}.com`, `x${'b'.repeat(61)}.com`],
    [`${label63}.com`, undefined],
    [name253, undefined],
  ];
  for (const [text, name] of rows) {
    test(`${text.slice(0, 20)} → ${name?.slice(0, 20)}`, () => assert.equal(alsoMatches(text), name));
  }
});
