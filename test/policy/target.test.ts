import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { UsageError } from '../../src/errors.ts';
import { formatAddress } from '../../src/policy/prefix.ts';
import { parseTarget } from '../../src/policy/target.ts';

describe('parseTarget takes', () => {
  const rows: readonly (readonly [text: string, host: string, port: number | undefined, l4Proto: number])[] =
    [
      ['example.com', 'name example.com', undefined, 6],
      ['Example.com.:443', 'name example.com', 443, 6],
      ['example.com:53/udp', 'name example.com', 53, 17],
      ['example.com:5000/sctp', 'name example.com', 5000, 132],
      ['bücher.example:443', 'name xn--bcher-kva.example', 443, 6],
      ['192.0.2.1', 'address 192.0.2.1', undefined, 6],
      ['192.0.2.1:443/tcp', 'address 192.0.2.1', 443, 6],
      ['2001:db8::1', 'address 2001:db8::1', undefined, 6],
      ['[2001:db8::1]', 'address 2001:db8::1', undefined, 6],
      ['[2001:db8::1]:443', 'address 2001:db8::1', 443, 6],
      ['[2001:db8::1]:53/udp', 'address 2001:db8::1', 53, 17],
    ];
  for (const [text, expected, port, l4Proto] of rows) {
    test(text, () => {
      const { host, ...rest } = parseTarget(text);
      assert.equal(
        host.kind === 'name' ? `name ${host.name}` : `address ${formatAddress(host.addr16)}`,
        expected,
      );
      assert.deepEqual(rest, port === undefined ? { l4Proto } : { port, l4Proto });
    });
  }
});

describe('parseTarget refuses', () => {
  const rows: readonly (readonly [text: string, legal: string])[] = [
    ['', 'is empty'],
    [':443', 'is empty'],
    ['*.example.com', 'legal'],
    ['a b', 'legal'],
    ['example.com:', '1 to 65535'],
    ['example.com:0', '1 to 65535'],
    ['example.com:65536', '1 to 65535'],
    ['example.com:https', '1 to 65535'],
    ['example.com:443/', 'tcp, udp, sctp'],
    ['example.com:443/icmp', '0 to 255'],
    ['example.com:x/icmpv6', '0 to 255'],
    ['example.com:8/ICMP', 'tcp, udp, sctp, icmp or icmpv6'],
    ['example.com/tcp', "can't be in a name"],
    ['https://example.com', 'tcp, udp, sctp'],
    ['[192.0.2.1]:443', 'HOST[:PORT[/PROTO]]'],
    ['[example.com]:443', 'HOST[:PORT[/PROTO]]'],
    ['[2001:db8::1', 'HOST[:PORT[/PROTO]]'],
    ['[2001:db8::1]443', 'HOST[:PORT[/PROTO]]'],
    ['[]:443', 'HOST[:PORT[/PROTO]]'],
    ['2001:db8::1::443', '1 to 65535'],
    ['192.0.2.0/24', "can't be in a name"],
    ['192.0.2.256:80', 'ends in a number'],
    ['example.7', 'ends in a number'],
  ];
  for (const [text, legal] of rows) {
    test(JSON.stringify(text), () => {
      assert.throws(
        () => parseTarget(text),
        (error) => error instanceof UsageError && error.message.includes(legal),
      );
    });
  }
});
