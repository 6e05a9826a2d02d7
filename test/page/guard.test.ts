import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { bearerOf, legalHosts, refuse } from '../../src/page/guard.ts';
import { decodePlace, encodeMessage, encodePlace } from '../../src/page/message.ts';
import { Token } from '../../src/page/token.ts';
import { StreamParser } from '../../src/view/stream-parser.ts';

const HOSTS = legalHosts('127.0.0.1', 8080);
const ASKED = { method: 'GET', host: '127.0.0.1:8080', origin: undefined };

describe('refuse', () => {
  const rows: readonly (readonly [
    what: string,
    asked: Partial<Record<'method' | 'host' | 'origin', string>>,
    status: number | undefined,
  ])[] = [
    ['nothing of a page of ours', {}, undefined],
    ['nothing under localhost', { host: 'localhost:8080' }, undefined],
    ['nothing for capitals', { host: 'LOCALHOST:8080' }, undefined],
    ['nothing of our own origin', { origin: 'http://127.0.0.1:8080' }, undefined],
    ['nothing for HEAD', { method: 'HEAD' }, undefined],
    ['a name that was pointed here', { host: 'evil.example:8080' }, 421],
    ['a name that begins as ours', { host: '127.0.0.1.evil.example:8080' }, 421],
    ['another port', { host: '127.0.0.1:8081' }, 421],
    ['no port', { host: '127.0.0.1' }, 421],
    ['another loopback address', { host: '127.0.0.2:8080' }, 421],
    ['an empty host', { host: '' }, 421],
    ['another origin', { origin: 'http://evil.example' }, 403],
    ['an origin on another port', { origin: 'http://127.0.0.1:8081' }, 403],
    ['an origin over TLS', { origin: 'https://127.0.0.1:8080' }, 403],
    ['the origin of a sandbox', { origin: 'null' }, 403],
    ['POST', { method: 'POST' }, 405],
    ['PUT', { method: 'PUT' }, 405],
    ['DELETE', { method: 'DELETE' }, 405],
    ['OPTIONS, so that no other origin gets leave', { method: 'OPTIONS' }, 405],
  ];
  for (const [what, asked, status] of rows) {
    test(`refuses ${what}`, () => {
      assert.equal(refuse({ ...ASKED, ...asked }, HOSTS)?.status, status);
    });
  }
  test('refuses a request without host', () => {
    assert.equal(refuse({ ...ASKED, host: undefined }, HOSTS)?.status, 421);
  });
});

describe('legalHosts', () => {
  test('has brackets around IPv6', () => {
    assert.deepEqual(legalHosts('::1', 8080), ['[::1]:8080', 'localhost:8080']);
  });
  test('has no port where browsers leave it out', () => {
    assert.deepEqual(legalHosts('127.0.0.1', 80), ['127.0.0.1:80', '127.0.0.1', 'localhost:80', 'localhost']);
  });
});

describe('Token', () => {
  const token = new Token();
  test('has 192 bits, others each time', () => {
    assert.match(token.text, /^[\w-]{32}$/);
    assert.notEqual(new Token().text, token.text);
  });
  test('matches itself only', () => {
    assert.equal(token.matches(token.text), true);
    for (const other of ['', token.text.slice(1), `${token.text}a`, new Token().text])
      assert.equal(token.matches(other), false);
  });
  test('is read from a bearer header only', () => {
    assert.equal(bearerOf(`Bearer ${token.text}`), token.text);
    for (const header of [undefined, token.text, `Basic ${token.text}`, `Bearer ${token.text} x`, 'Bearer '])
      assert.equal(bearerOf(header), '');
  });
});

describe('a message', () => {
  test('comes back as it went, in pieces of any size', () => {
    const messages = [
      { kind: 'state', lines: ['{"instance":"a: b"}'] },
      { kind: 'events', id: encodePlace('run', 7), lines: ['{"seq":6}', '{"seq":7}'] },
      { kind: 'beat', lines: ['{"now":1}'] },
    ] as const;
    const text = messages.map(encodeMessage).join('');
    for (const size of [1, 7, text.length]) {
      const parser = new StreamParser();
      const pieces = Array.from({ length: Math.ceil(text.length / size) }, (_, at) =>
        text.slice(at * size, (at + 1) * size),
      );
      assert.deepEqual(
        pieces.flatMap((piece) => parser.push(piece)),
        messages,
      );
    }
  });
  test('that does not end is refused', () => {
    const parser = new StreamParser();
    const piece = 'x'.repeat(1 << 19);
    assert.throws(() => [piece, piece, piece].map((each) => parser.push(each)), RangeError);
  });
});

describe('decodePlace', () => {
  const rows: readonly (readonly [id: string | undefined, seq: number])[] = [
    ['run.42', 42],
    ['other.42', 0],
    [undefined, 0],
    ['', 0],
    ['run.-1', 0],
    ['run.1e9', 0],
    ['run.99999999999999999999', 0],
  ];
  for (const [id, seq] of rows)
    test(`${id} goes on after ${seq}`, () => assert.equal(decodePlace('run', id), seq));
});
