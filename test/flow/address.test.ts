import assert from 'node:assert/strict';
import { test } from 'node:test';
import { formatAddress } from '../../src/flow/address.ts';
import { protocolWord } from '../../src/flow/protocol.ts';

for (const [hex, text] of [
  ['00000000000000000000ffffc6336407', '198.51.100.7'],
  ['00000000000000000000ffff00000000', '0.0.0.0'],
  ['00000000000000000000ffffffffffff', '255.255.255.255'],
  ['00000000000000000000000000000000', '::'],
  ['00000000000000000000000000000001', '::1'],
  ['000000000000000000000000c6336407', '::c633:6407'],
  ['20010db8000000000000000000000007', '2001:db8::7'],
  ['20010db8000000000001000000000007', '2001:db8::1:0:0:7'],
  ['20010db8000000010001000100010007', '2001:db8:0:1:1:1:1:7'],
  ['20010db8000000010000000000010007', '2001:db8:0:1::1:7'],
  ['00010000000000010000000000010001', '1::1:0:0:1:1'],
  ['fe80000000000000abcdef0012345678', 'fe80::abcd:ef00:1234:5678'],
  ['ff020000000000000000000000010002', 'ff02::1:2'],
  ['ffffffffffffffffffffffffffffffff', 'ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff'],
] as const) {
  test(`formatAddress of ${hex} is ${text}`, () => {
    assert.equal(formatAddress(Buffer.from(hex, 'hex')), text);
  });
}

for (const [family, text] of [
  ['ipv4', '198.51.100.7'],
  ['ipv6', '::ffff:198.51.100.7'],
] as const) {
  test(`formatAddress of a mapped address in an ${family} header is ${text}`, () => {
    assert.equal(formatAddress(Buffer.from('00000000000000000000ffffc6336407', 'hex'), family), text);
  });
}

for (const [l4Proto, word] of [
  [0, 'ip'],
  [1, 'icmp'],
  [6, 'tcp'],
  [17, 'udp'],
  [47, 'gre'],
  [58, 'icmpv6'],
  [132, 'sctp'],
  [253, 'proto-253'],
] as const) {
  test(`protocolWord of ${l4Proto} is ${word}`, () => {
    assert.equal(protocolWord(l4Proto), word);
  });
}
