import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseAddress, parseResolver, type Resolver } from '../../src/dns/resolver.ts';
import { UsageError } from '../../src/errors.ts';

/** Address as hex, port and scope, so that a row reads in one line. */
function show({ addr16, port, scope }: Resolver): string {
  return [Buffer.from(addr16).toString('hex'), port, ...(scope === undefined ? [] : [scope])].join(' ');
}

const V4 = '00000000000000000000ffffc0000235';
const V6 = '20010db8000000000000000000000053';
const LINK_LOCAL = 'fe800000000000000000000000000001';

for (const [text, expected] of [
  ['192.0.2.53', `${V4} 53`],
  ['192.0.2.53:5353', `${V4} 5353`],
  ['192.0.2.53:1', `${V4} 1`],
  ['192.0.2.53:65535', `${V4} 65535`],
  ['127.0.0.53', '00000000000000000000ffff7f000035 53'],
  ['255.255.255.255', '00000000000000000000ffffffffffff 53'],
  ['2001:db8::53', `${V6} 53`],
  ['2001:DB8:0:0:0:0:0:53', `${V6} 53`],
  ['[2001:db8::53]', `${V6} 53`],
  ['[2001:db8::53]:5353', `${V6} 5353`],
  ['::1', '00000000000000000000000000000001 53'],
  ['2001:db8::192.0.2.53', '20010db80000000000000000c0000235 53'],
  ['::ffff:192.0.2.53', `${V4} 53`],
  ['fe80::1%eth0', `${LINK_LOCAL} 53 eth0`],
  ['[fe80::1%br-lan.7]:5353', `${LINK_LOCAL} 5353 br-lan.7`],
  ['fe80::1%2', `${LINK_LOCAL} 53 2`],
] as const) {
  test(`parseResolver takes ${text}`, () => {
    assert.equal(show(parseResolver(text)), expected);
  });
}

const NOT_AN_ADDRESS = /is not an address: an IPv4 or IPv6 address, with a port as .* is legal/;
const BAD_PORT = /has the port ".*": 1 to 65535 is legal/;

for (const [text, message] of [
  ['', NOT_AN_ADDRESS],
  [' 192.0.2.53', NOT_AN_ADDRESS],
  ['192.0.2.53 ', NOT_AN_ADDRESS],
  ['192.0.2.53\n', NOT_AN_ADDRESS],
  ['192.0.2', NOT_AN_ADDRESS],
  ['192.0.2.53.1', NOT_AN_ADDRESS],
  ['192.0.2.053', NOT_AN_ADDRESS],
  ['192.0.2.256', NOT_AN_ADDRESS],
  ['0xc0.0.2.53', NOT_AN_ADDRESS],
  ['3221226037', NOT_AN_ADDRESS],
  ['192.0.2.0/24', NOT_AN_ADDRESS],
  ['dns.example.com', NOT_AN_ADDRESS],
  ['dns.example.com:53', NOT_AN_ADDRESS],
  [':53', NOT_AN_ADDRESS],
  ['[192.0.2.53]:53', NOT_AN_ADDRESS],
  ['[2001:db8::53', NOT_AN_ADDRESS],
  ['2001:db8::53]', NOT_AN_ADDRESS],
  ['[2001:db8::53]53', NOT_AN_ADDRESS],
  ['[]:53', NOT_AN_ADDRESS],
  ['2001:db8:::53', NOT_AN_ADDRESS],
  ['2001:db8::1::2', NOT_AN_ADDRESS],
  ['2001:db8::12345', NOT_AN_ADDRESS],
  ['1:2:3:4:5:6:7', NOT_AN_ADDRESS],
  ['1:2:3:4:5:6:7:8:9', NOT_AN_ADDRESS],
  ['::ffff:192.0.2.053', NOT_AN_ADDRESS],
  ['::ffff:0xc0.0.2.53', NOT_AN_ADDRESS],
  ['fe80::1%', NOT_AN_ADDRESS],
  ['fe80::1%eth0%eth1', NOT_AN_ADDRESS],
  ['fe80::1%a/b', NOT_AN_ADDRESS],
  ['fe80::1%an-interface-too-long', NOT_AN_ADDRESS],
  ['192.0.2.53%eth0', NOT_AN_ADDRESS],
  ['192.0.2.53:', BAD_PORT],
  ['192.0.2.53:0', BAD_PORT],
  ['192.0.2.53:65536', BAD_PORT],
  ['192.0.2.53:053', BAD_PORT],
  ['192.0.2.53:+53', BAD_PORT],
  ['192.0.2.53:53x', BAD_PORT],
  ['192.0.2.53:dns', BAD_PORT],
  ['[2001:db8::53]:', BAD_PORT],
  ['[2001:db8::53]:99999', BAD_PORT],
  ['0.0.0.0', /is the unspecified address/],
  ['::', /is the unspecified address/],
  ['[::]:53', /is the unspecified address/],
] as const) {
  test(`parseResolver refuses ${JSON.stringify(text)}`, () => {
    assert.throws(
      () => parseResolver(text),
      (error) =>
        error instanceof UsageError && message.test(error.message) && error.message.includes(`"${text}"`),
    );
  });
}

test('parseAddress takes no port', () => {
  assert.equal(parseAddress('192.0.2.53:53', 53), undefined);
  assert.equal(parseAddress('[2001:db8::53]', 53), undefined);
});
