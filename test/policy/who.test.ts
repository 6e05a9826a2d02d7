import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { UsageError } from '../../src/errors.ts';
import { parsePattern, parseSuffix } from '../../src/policy/name.ts';
import { parseAddress, parsePrefix } from '../../src/policy/prefix.ts';
import { holdsAddress, holdsName, isByAddress, parseWho, type Who, whoText } from '../../src/policy/who.ts';

const prefix = (text: string, ...except: readonly string[]): Who => ({
  kind: 'prefix',
  prefix: parsePrefix(text).prefix,
  except: except.map((each) => parsePrefix(each).prefix),
});
const ANY: Who = { kind: 'any' };
const NET = prefix('10.0.0.0/8', '10.1.0.0/16', '10.2.0.1');

describe('whoText and parseWho are each other’s inverse', () => {
  const rows: readonly (readonly [who: Who, text: string])[] = [
    [ANY, 'any'],
    [prefix('192.0.2.1'), '192.0.2.1/32'],
    [prefix('2001:db8::/32', '2001:db8:1::/48'), '2001:db8::/32!2001:db8:1::/48'],
    [NET, '10.0.0.0/8!10.1.0.0/16!10.2.0.1/32'],
    [parseSuffix('.a.test'), '.a.test'],
    [{ kind: 'suffix', suffix: '' }, '*'],
    [parsePattern('a.test'), 'a.test'],
    [parsePattern('*.a.test'), '*.a.test'],
    [parsePattern('**.a*.test'), '**.a*.test'],
  ];
  for (const [who, text] of rows) {
    test(`${who.kind} ${text}`, () => {
      assert.equal(whoText(who), text);
      assert.deepEqual(parseWho(who.kind, text), who);
    });
  }

  test('parseWho knows no other kind', () => assert.equal(parseWho('port', '7'), undefined));
  test('parseWho refuses a text that is no prefix', () =>
    assert.throws(() => parseWho('prefix', '10.0.0.0/8!x'), UsageError));
});

describe('holdsAddress', () => {
  const rows: readonly (readonly [who: Who, address: string, holds: boolean])[] = [
    [ANY, '192.0.2.1', true],
    [ANY, '::1', true],
    [NET, '10.0.0.0', true],
    [NET, '10.255.255.255', true],
    [NET, '11.0.0.0', false],
    [NET, '10.1.0.0', false],
    [NET, '10.1.255.255', false],
    [NET, '10.2.0.0', true],
    [NET, '10.2.0.1', false],
    [NET, '10.2.0.2', true],
    [NET, '::ffff:10.0.0.1', true],
    [NET, '2001:db8::1', false],
    [prefix('0.0.0.0/0'), '192.0.2.1', true],
    [prefix('0.0.0.0/0'), '2001:db8::1', false],
    [prefix('::/0'), '2001:db8::1', true],
    [prefix('::/0'), '192.0.2.1', false],
    [parsePattern('a.test'), '192.0.2.1', false],
    [{ kind: 'suffix', suffix: '' }, '192.0.2.1', false],
  ];
  for (const [who, address, holds] of rows)
    test(`${whoText(who)} ${address}: ${holds}`, () =>
      assert.equal(holdsAddress(who, parseAddress(address)), holds));
});

describe('holdsName', () => {
  const rows: readonly (readonly [who: Who, name: string, holds: boolean])[] = [
    [ANY, 'a.test', false],
    [NET, 'a.test', false],
    [parsePattern('a.test'), 'A.test.', true],
    [parsePattern('a.test'), 'b.a.test', false],
    [parseSuffix('.a.test'), 'b.a.test', true],
    [parseSuffix('.a.test'), 'a.test', false],
    [{ kind: 'suffix', suffix: '' }, 'a.test', true],
    [parsePattern('*.a.test'), 'b.a.test', true],
    [parsePattern('*.a.test'), 'c.b.a.test', false],
  ];
  for (const [who, name, holds] of rows)
    test(`${whoText(who)} ${name}: ${holds}`, () => assert.equal(holdsName(who, name), holds));
});

test('isByAddress tells addresses from names', () => {
  const whos = [ANY, NET, parsePattern('a.test'), parsePattern('*.a.test'), parseSuffix('.a.test')];
  assert.deepEqual(whos.map(isByAddress), [true, true, false, false, false]);
});
