import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { UsageError } from '../../src/errors.ts';
import type { NumberedRule } from '../../src/policy/compile-names.ts';
import {
  compilePrefixes,
  compilePrefixTable,
  type PrefixTable,
  RowEffect,
} from '../../src/policy/compile-prefixes.ts';
import { formatAddress, parseAddress, parsePrefix } from '../../src/policy/prefix.ts';
import { holdsAddress, type Who } from '../../src/policy/who.ts';
import { makeRng, type Rng } from '../dns/rng.ts';

/** `!` in front makes a deny rule, what stands behind `-` are exceptions, `any` is every address; ids from 1. */
function rulesOf(...texts: readonly string[]): NumberedRule[] {
  return texts.map((text, index) => {
    const [first = '', ...others] = text.replace('!', '').split('-');
    const except = others.map((each) => parsePrefix(each).prefix);
    const who: Who =
      first === 'any' ? { kind: 'any' } : { kind: 'prefix', prefix: parsePrefix(first).prefix, except };
    const action = text.startsWith('!') ? 'deny' : 'allow';
    return { id: index + 1, rule: { who, action, ports: [], source: text } };
  });
}

interface Found {
  readonly allow: readonly number[];
  readonly deny: readonly number[];
}

/** As the kernel looks up: the host, else the longest prefix of the 128 bits, families not told apart. */
function lookUp({ sets, hosts, prefixes }: PrefixTable, addr: Uint8Array): Found {
  const resolve = (allow = 0, deny = 0): Found => ({
    allow: sets[allow - 1] ?? [],
    deny: sets[deny - 1] ?? [],
  });
  const bitsOf = (bytes: Uint8Array): string =>
    Array.from(bytes, (byte) => byte.toString(2).padStart(8, '0')).join('');
  const wanted = bitsOf(addr);
  const keys = (addrs: Uint8Array, count: number): string[] =>
    Array.from({ length: count }, (_, at) => bitsOf(addrs.subarray(at * 16, at * 16 + 16)));
  const host = keys(hosts.addrs, hosts.allowSet.length).indexOf(wanted);
  if (host >= 0) return resolve(hosts.allowSet[host], hosts.denySet[host]);
  const best = keys(prefixes.addrs, prefixes.bits.length)
    .map((key, at) => ({ at, bits: prefixes.bits[at] ?? 0, key }))
    .filter(({ bits, key }) => key.slice(0, bits) === wanted.slice(0, bits))
    .sort((a, b) => b.bits - a.bits)
    .at(0)?.at;
  return best === undefined ? resolve() : resolve(prefixes.allowSet[best], prefixes.denySet[best]);
}

function expected(rules: readonly NumberedRule[], addr: Uint8Array): Found {
  const hits = rules.filter(({ rule: { who } }) => holdsAddress(who, addr));
  const ids = (action: string): number[] =>
    hits.filter(({ rule }) => rule.action === action).map(({ id }) => id);
  return { allow: ids('allow'), deny: ids('deny') };
}

describe('compilePrefixes', () => {
  const nested = [
    '10.0.0.0/8',
    '10.1.0.0/16',
    '10.1.2.3',
    '!10.1.0.0/24',
    '192.0.2.1',
    '2001:db8::/32',
    '10.1.2.3/32',
  ];

  const rows: readonly (readonly [address: string, allow: readonly number[], deny: readonly number[]])[] = [
    ['10.9.9.9', [1], []],
    ['10.1.9.9', [1, 2], []],
    ['10.1.0.9', [1, 2], [4]],
    ['10.1.2.3', [1, 2, 3, 7], []],
    ['192.0.2.1', [5], []],
    ['192.0.2.2', [], []],
    ['2001:db8::9', [6], []],
    ['::a01:203', [], []],
  ];
  for (const [address, allow, deny] of rows) {
    test(`${address} has allow ${JSON.stringify(allow)}, deny ${JSON.stringify(deny)}`, () => {
      assert.deepEqual(lookUp(compilePrefixes(rulesOf(...nested)), parseAddress(address)), { allow, deny });
    });
  }

  test('puts single addresses into hosts, real prefixes beside, each once', () => {
    const { hosts, prefixes } = compilePrefixes(rulesOf(...nested));
    const texts = (addrs: Uint8Array, count: number): string[] =>
      Array.from({ length: count }, (_, at) => formatAddress(addrs.subarray(at * 16, at * 16 + 16)));
    assert.deepEqual(texts(hosts.addrs, hosts.allowSet.length), ['10.1.2.3', '192.0.2.1']);
    assert.equal(hosts.addrs.length, 32);
    assert.deepEqual(texts(prefixes.addrs, prefixes.bits.length), [
      '10.0.0.0',
      '10.1.0.0',
      '10.1.0.0',
      '2001:db8::',
    ]);
    assert.deepEqual([...prefixes.bits], [104, 112, 120, 32]);
    assert.deepEqual([prefixes.addrs.length, prefixes.allowSet.length, prefixes.denySet.length], [64, 4, 4]);
  });

  const excepted: readonly (readonly [rules: readonly string[], address: string, found: Found])[] = [
    [['10.0.0.0/8-10.1.0.0/16'], '10.2.0.1', { allow: [1], deny: [] }],
    [['10.0.0.0/8-10.1.0.0/16'], '10.1.0.1', { allow: [], deny: [] }],
    [['10.0.0.0/8-10.1.0.1'], '10.1.0.1', { allow: [], deny: [] }],
    [['10.0.0.0/8-10.1.0.1'], '10.1.0.2', { allow: [1], deny: [] }],
    [['10.0.0.0/8-10.1.0.0/16', '10.1.2.0/24'], '10.1.2.3', { allow: [2], deny: [] }],
    [['10.0.0.0/8-10.1.0.0/16', '10.0.0.0/8'], '10.1.2.3', { allow: [2], deny: [] }],
    [['10.0.0.0/8-10.1.0.0/16', '10.1.0.0/16'], '10.1.2.3', { allow: [2], deny: [] }],
    [['10.1.0.0/16', '10.0.0.0/8-10.1.0.0/16'], '10.1.2.3', { allow: [1], deny: [] }],
    [['10.0.0.0/8', '!10.0.0.0/8-10.1.0.0/16'], '10.1.2.3', { allow: [1], deny: [] }],
    [['10.0.0.0/8', '!10.0.0.0/8-10.1.0.0/16'], '10.2.2.3', { allow: [1], deny: [2] }],
    [['any', '10.0.0.0/8-10.1.0.0/16'], '10.1.2.3', { allow: [1], deny: [] }],
    [['any'], '2001:db8::1', { allow: [1], deny: [] }],
    [['!any', '10.0.0.0/8'], '10.1.2.3', { allow: [2], deny: [1] }],
  ];
  for (const [rules, address, found] of excepted) {
    test(`${rules.join(' ')}: ${address} is held by ${JSON.stringify(found)}`, () => {
      assert.deepEqual(lookUp(compilePrefixes(rulesOf(...rules)), parseAddress(address)), found);
    });
  }

  test('shares a set between entries', () => {
    const { sets, hosts } = compilePrefixTable({
      addrs: Uint8Array.from(
        ['192.0.2.1', '192.0.2.2', '192.0.2.3'].flatMap((text) => [...parseAddress(text)]),
      ),
      bits: Uint8Array.of(128, 128, 128),
      ruleIds: Uint32Array.of(7, 9, 7),
      effects: Uint8Array.of(0, 0, RowEffect.deny),
    });
    assert.deepEqual(sets, [[7], [9]]);
    assert.deepEqual(
      [[...hosts.allowSet], [...hosts.denySet]],
      [
        [1, 2, 0],
        [0, 0, 1],
      ],
    );
  });

  test('finds one set for the same rules in any order of nesting', () => {
    const table = compilePrefixTable({
      addrs: Uint8Array.from(
        ['10.0.0.0', '10.0.0.1', '11.0.0.0', '11.0.0.1'].flatMap((text) => [...parseAddress(text)]),
      ),
      bits: Uint8Array.of(104, 128, 104, 128),
      ruleIds: Uint32Array.of(1, 2, 2, 1),
      effects: new Uint8Array(4),
    });
    assert.equal(table.hosts.allowSet[0], table.hosts.allowSet[1]);
    assert.deepEqual(table.sets[(table.hosts.allowSet[0] ?? 0) - 1], [1, 2]);
  });

  test('is empty without rules', () => {
    const { sets, hosts, prefixes } = compilePrefixes([]);
    assert.deepEqual([sets.length, hosts.addrs.length, prefixes.addrs.length], [0, 0, 0]);
  });

  describe('keeps a prefix of IPv6 from IPv4', () => {
    const cases: readonly (readonly [rules: readonly string[], address: string, allow: readonly number[]])[] =
      [
        [['::/0'], '192.0.2.1', []],
        [['::/0'], '2001:db8::1', [1]],
        [['::/0'], '::fffe:c000:201', [1]],
        [['::/0', '192.0.2.0/24'], '192.0.2.1', [2]],
        [['::/0', '192.0.2.1'], '192.0.2.1', [2]],
        [['::/0', '192.0.2.1'], '192.0.2.2', []],
        [['::/0', '0.0.0.0/0'], '192.0.2.1', [2]],
        [['::/0', '0.0.0.0/0'], '::1', [1]],
        [['::fffe:0:0/95'], '192.0.2.1', []],
        [['::fffe:0:0/95'], '::fffe:c000:201', [1]],
        [['0.0.0.0/0'], '::1', []],
      ];
    for (const [rules, address, allow] of cases) {
      test(`${rules.join(' ')}: ${address} has ${JSON.stringify(allow)}`, () => {
        assert.deepEqual(lookUp(compilePrefixes(rulesOf(...rules)), parseAddress(address)).allow, allow);
      });
    }

    test('and adds no entry where none reaches so far', () => {
      assert.equal(compilePrefixes(rulesOf('2001:db8::/32', '192.0.2.0/24')).prefixes.bits.length, 2);
      assert.equal(compilePrefixes(rulesOf('::/0', '192.0.2.0/24')).prefixes.bits.length, 3);
    });
  });

  test('takes 32 rules for one address and no more, deny rules counted apart', () => {
    const steps = Array.from({ length: 33 }, (_, index) => `fd00::/${8 + index}`);
    const denied = compilePrefixes(rulesOf(...steps.slice(0, 32), '!fd00::/126'));
    assert.equal(lookUp(denied, parseAddress('fd00::1')).allow.length, 32);
    assert.throws(
      () => compilePrefixes(rulesOf(...steps)),
      (error) =>
        error instanceof UsageError &&
        steps.every((source) => error.message.includes(`"${source}"`)) &&
        error.message.includes('at most 32'),
    );
  });

  for (let seed = 1; seed <= 30; seed += 1) {
    test(`finds what contains finds, seed ${seed}`, () => {
      const rng = makeRng(seed);
      const rules = rulesOf(...Array.from({ length: 8 }, () => randomPrefix(rng)));
      const table = compilePrefixes(rules);
      for (let round = 0; round < 50; round += 1) {
        const addr = randomAddress(rng);
        assert.deepEqual(lookUp(table, addr), expected(rules, addr), formatAddress(addr));
      }
    });
  }

  test('compiles 100,000 rows of one rule into one set', () => {
    const count = 100_000;
    const rng = makeRng(7);
    const addrs = new Uint8Array(count * 16);
    for (let row = 0; row < count; row += 1) addrs.set([0xff, 0xff, 10, ...rng.bytes(3)], row * 16 + 10);
    const { sets, hosts, prefixes } = compilePrefixTable({
      addrs,
      bits: new Uint8Array(count).fill(128),
      ruleIds: new Uint32Array(count).fill(3),
      effects: new Uint8Array(count),
    });
    const unique = new Set(
      Array.from({ length: count }, (_, row) => addrs.subarray(row * 16 + 12, row * 16 + 16).join()),
    );
    assert.deepEqual(sets, [[3]]);
    assert.deepEqual([hosts.allowSet.length, prefixes.bits.length], [unique.size, 0]);
    assert.ok(hosts.allowSet.every((set) => set === 1));
  });
});

/** Few values, so that prefixes nest. */
function randomAddress(rng: Rng): Uint8Array {
  const pick = (): number => rng.pick([0, 1, 0x80, 0xff]);
  return rng.oneIn(2)
    ? parseAddress(`10.${pick()}.${pick()}.${pick()}`)
    : Uint8Array.from({ length: 16 }, (_, at) => (at < 9 ? 0 : pick()));
}

function randomPrefix(rng: Rng): string {
  const address = formatAddress(randomAddress(rng));
  const length = address.includes(':') ? rng.below(129) : rng.below(33);
  const [inner = ''] = rng.oneIn(3) ? [`-${address}/${length + 1}`] : [];
  const isRoom = length + 1 <= (address.includes(':') ? 128 : 32);
  return `${rng.oneIn(4) ? '!' : ''}${address}/${length}${isRoom ? inner : ''}`;
}
