import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { UsageError } from '../../src/errors.ts';
import { contains, formatAddress, isAddress, parseAddress, parsePrefix } from '../../src/policy/prefix.ts';

describe('parsePrefix takes', () => {
  const rows: readonly (readonly [text: string, canonical: string, family: 4 | 6, bits: number])[] = [
    ['10.0.0.0/8', '10.0.0.0/8', 4, 104],
    ['192.0.2.1', '192.0.2.1/32', 4, 128],
    ['192.0.2.1/32', '192.0.2.1/32', 4, 128],
    ['0.0.0.0/0', '0.0.0.0/0', 4, 96],
    ['2001:db8::/32', '2001:db8::/32', 6, 32],
    ['2001:DB8:0:0::1', '2001:db8::1/128', 6, 128],
    ['::/0', '::/0', 6, 0],
    ['::1', '::1/128', 6, 128],
    ['1::', '1::/128', 6, 128],
    ['1:2:3:4:5:6:7:8', '1:2:3:4:5:6:7:8/128', 6, 128],
    ['::ffff:192.0.2.0/120', '192.0.2.0/24', 4, 120],
    ['::ffff:192.0.2.1', '192.0.2.1/32', 4, 128],
    ['::ffff:c000:201', '192.0.2.1/32', 4, 128],
    ['::ffff:0:0/96', '0.0.0.0/0', 4, 96],
    ['::fffe:0:0/95', '::fffe:0:0/95', 6, 95],
    ['::192.0.2.1', '::c000:201/128', 6, 128],
    ['::0.0.0.1', '::1/128', 6, 128],
    ['1:2:3:4:5:6:192.0.2.1', '1:2:3:4:5:6:c000:201/128', 6, 128],
    ['64:ff9b::192.0.2.1', '64:ff9b::c000:201/128', 6, 128],
  ];
  for (const [text, canonical, family, bits] of rows) {
    test(text, () => {
      const { prefix } = parsePrefix(text);
      assert.deepEqual([prefix.text, prefix.family, prefix.bits], [canonical, family, bits]);
      assert.equal(prefix.bytes.length, 16);
      assert.deepEqual(parsePrefix(canonical), { prefix });
    });
  }
});

describe('parsePrefix masks', () => {
  const rows: readonly (readonly [text: string, canonical: string])[] = [
    ['10.0.2.5/24', '10.0.2.0/24'],
    ['192.0.2.255/31', '192.0.2.254/31'],
    ['192.0.2.1/0', '0.0.0.0/0'],
    ['2001:db8::1/33', '2001:db8::/33'],
    ['2001:db8:ffff::/33', '2001:db8:8000::/33'],
    ['::1/0', '::/0'],
    ['::ffff:192.0.2.1/120', '192.0.2.0/24'],
  ];
  for (const [text, canonical] of rows) {
    test(text, () => {
      const { prefix, warning } = parsePrefix(text);
      assert.equal(prefix.text, canonical);
      assert.equal(warning, `prefix "${text}" has bits set past its length: taken as "${canonical}"`);
    });
  }
});

const notAddresses = [
  '',
  ' ',
  '1.2.3',
  '1.2',
  '16909060',
  '1.2.3.4.5',
  '1..2.3',
  '1.2.3.256',
  '01.2.3.4',
  '1.2.3.08',
  '0x1.2.3.4',
  '0x01020304',
  ' 1.2.3.4',
  '1.2.3.4 ',
  '1.2.3.4\n',
  '１.2.3.4',
  'fe80::1%eth0',
  ':',
  ':::',
  '1:::2',
  '1::2::3',
  ':1::2',
  '1::2:',
  '1:2:3:4:5:6:7',
  '1:2:3:4:5:6:7:8:9',
  '00001::',
  '12345::',
  'g::1',
  '[::1]',
  '::ffff:1.2.3',
  '::ffff:01.2.3.4',
  '::ffff:0x1.2.3.4',
  '::1.2.3.4:5',
  '1:2:3:4:5:6:7:192.0.2.1',
  ':192.0.2.1',
  '1.2.3.4::',
  'example.com',
  '*',
];

describe('not an address', () => {
  for (const text of notAddresses) {
    test(JSON.stringify(text), () => {
      assert.equal(isAddress(text), false);
      for (const parse of [parseAddress, parsePrefix, (address: string) => parsePrefix(`${address}/24`)]) {
        assert.throws(
          () => parse(text),
          (error) =>
            error instanceof UsageError && error.message.includes(text) && /is legal/u.test(error.message),
        );
      }
    });
  }
});

describe('parsePrefix refuses the length of', () => {
  const rows: readonly (readonly [text: string, legal: string])[] = [
    ['1.2.3.4/33', '0 to 32'],
    ['1.2.3.4/033', '0 to 32'],
    ['1.2.3.4/08', '0 to 32'],
    ['1.2.3.4/', '0 to 32'],
    ['1.2.3.4/-1', '0 to 32'],
    ['1.2.3.4/+8', '0 to 32'],
    ['1.2.3.4/ 8', '0 to 32'],
    ['1.2.3.4/8 ', '0 to 32'],
    ['1.2.3.4/8/8', '0 to 32'],
    ['1.2.3.4/0x8', '0 to 32'],
    ['1.2.3.4/1e1', '0 to 32'],
    ['1.2.3.4/255.255.255.0', '0 to 32'],
    ['2001:db8::/129', '0 to 128'],
    ['::/00', '0 to 128'],
    ['::ffff:1.2.3.4/129', '0 to 128'],
    ['::ffff:10.0.0.0/24', 'length "24": 10.0.0.0/24, or 96 to 128, is legal'],
    ['::ffff:10.0.0.0/0', 'length "0": 10.0.0.0/0, or 96 to 128, is legal'],
    ['::ffff:a00:1/64', 'length "64": 10.0.0.1/32, or 96 to 128, is legal'],
    ['::ffff:0:0/95', 'length "95": 0.0.0.0/32, or 96 to 128, is legal'],
  ];
  for (const [text, legal] of rows) {
    test(text, () => {
      assert.throws(
        () => parsePrefix(text),
        (error) =>
          error instanceof UsageError && error.message.includes(`"${text}"`) && error.message.includes(legal),
      );
    });
  }
});

describe('formatAddress', () => {
  // RFC 5952 section 4, and the forms that are ours.
  const rows: readonly (readonly [text: string, canonical: string])[] = [
    ['2001:0db8::0001', '2001:db8::1'],
    ['2001:db8:0:0:0:0:2:1', '2001:db8::2:1'],
    ['2001:db8:0:1:1:1:1:1', '2001:db8:0:1:1:1:1:1'],
    ['2001:0:0:1:0:0:0:1', '2001:0:0:1::1'],
    ['2001:db8:0:0:1:0:0:1', '2001:db8::1:0:0:1'],
    ['2001:DB8::ABCD', '2001:db8::abcd'],
    ['::', '::'],
    ['0:0:0:0:0:0:0:1', '::1'],
    ['1:0:0:0:0:0:0:0', '1::'],
    ['0.0.0.0', '0.0.0.0'],
    ['::ffff:192.0.2.1', '192.0.2.1'],
    ['::192.0.2.1', '::c000:201'],
  ];
  for (const [text, canonical] of rows) {
    test(text, () => assert.equal(formatAddress(parseAddress(text)), canonical));
  }
});

describe('contains', () => {
  const rows: readonly (readonly [prefix: string, inside: readonly string[], outside: readonly string[]])[] =
    [
      ['10.0.0.0/8', ['10.0.0.0', '10.255.255.255'], ['9.255.255.255', '11.0.0.0', '::a00:0']],
      ['192.0.2.128/25', ['192.0.2.128', '192.0.2.255'], ['192.0.2.127', '192.0.3.128']],
      ['192.0.2.1', ['192.0.2.1'], ['192.0.2.0', '192.0.2.3']],
      ['0.0.0.0/0', ['0.0.0.0', '255.255.255.255'], ['::1', '2001:db8::1']],
      ['::/0', ['::1', '2001:db8::1'], ['192.0.2.1']],
      ['::fffe:0:0/95', ['::fffe:c000:201'], ['192.0.2.1']],
      ['2001:db8::/33', ['2001:db8:7fff::1'], ['2001:db8:8000::', '2001:db9::']],
    ];
  for (const [text, inside, outside] of rows) {
    const { prefix } = parsePrefix(text);
    for (const address of inside) {
      test(`${text} holds ${address}`, () => assert.equal(contains(prefix, parseAddress(address)), true));
    }
    for (const address of outside) {
      test(`${text} does not hold ${address}`, () =>
        assert.equal(contains(prefix, parseAddress(address)), false));
    }
  }
});
