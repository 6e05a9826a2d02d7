import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { UsageError } from '../../src/errors.ts';
import { matchesPort, mergePorts, type PortRange, parsePort } from '../../src/policy/port.ts';

const range = (l4Proto: number, low: number, high = low): PortRange => ({ l4Proto, low, high });

describe('parsePort takes', () => {
  const rows: readonly (readonly [text: string, ranges: readonly PortRange[]])[] = [
    ['443', [range(6, 443), range(17, 443)]],
    ['443/tcp', [range(6, 443)]],
    ['53/udp', [range(17, 53)]],
    ['5000/sctp', [range(132, 5000)]],
    ['8000-8100/udp', [range(17, 8000, 8100)]],
    ['8000-8100', [range(6, 8000, 8100), range(17, 8000, 8100)]],
    ['1-65535', [range(6, 1, 65535), range(17, 1, 65535)]],
    ['80-80/tcp', [range(6, 80)]],
    ['icmp', [range(1, 0, 255), range(58, 0, 255)]],
    ['icmpv6', [range(58, 0, 255)]],
    ['icmp:8', [range(1, 8)]],
    ['icmpv6:128-129', [range(58, 128, 129)]],
    ['tcp', [range(6, 0, 65535)]],
    ['sctp', [range(132, 0, 65535)]],
    ['proto:47', [range(47, 0, 65535)]],
    ['proto:1', [range(1, 0, 255)]],
  ];
  for (const [text, ranges] of rows) test(text, () => assert.deepEqual(parsePort(text), ranges));
});

describe('parsePort refuses', () => {
  const rows: readonly (readonly [text: string, legal: string])[] = [
    ['', '8000-8100/udp'],
    ['http', '8000-8100/udp'],
    ['gre', '8000-8100/udp'],
    ['icmp:', '0 to 255'],
    ['icmp:256', '0 to 255'],
    ['icmp:9-8', '0 to 255'],
    ['icmpv6:x', '0 to 255'],
    ['proto:0', '1 to 255'],
    ['proto:4-5', '1 to 255'],
    ['proto:256', '0 to 255'],
    [' 443', '8000-8100/udp'],
    ['443 ', '8000-8100/udp'],
    ['+443', '8000-8100/udp'],
    ['-443', '8000-8100/udp'],
    ['443-', '8000-8100/udp'],
    ['1-2-3', '8000-8100/udp'],
    ['0x50', '8000-8100/udp'],
    ['4.5', '8000-8100/udp'],
    ['icmp/8', '8000-8100/udp'],
    ['ICMP', '8000-8100/udp'],
    ['*', '8000-8100/udp'],
    ['0', '1 to 65535'],
    ['0-80', '1 to 65535'],
    ['65536', '1 to 65535'],
    ['80-65536/tcp', '1 to 65535'],
    ['080', '1 to 65535'],
    ['99999999999999999999', '1 to 65535'],
    ['81-80', 'lower port comes first'],
    ['443/', 'tcp, udp or sctp'],
    ['443/icmp', 'tcp, udp or sctp'],
    ['443/TCP', 'tcp, udp or sctp'],
    ['443/tcp/udp', 'tcp, udp or sctp'],
    ['443/6', 'tcp, udp or sctp'],
  ];
  for (const [text, legal] of rows) {
    test(JSON.stringify(text), () => {
      assert.throws(
        () => parsePort(text),
        (error) =>
          error instanceof UsageError && error.message.includes(`"${text}"`) && error.message.includes(legal),
      );
    });
  }
});

describe('mergePorts', () => {
  const rows: readonly (readonly [
    title: string,
    given: readonly PortRange[],
    merged: readonly PortRange[],
  ])[] = [
    ['keeps the empty list', [], []],
    ['joins what overlaps', [range(6, 80, 90), range(6, 85, 100)], [range(6, 80, 100)]],
    ['joins what touches', [range(6, 81), range(6, 80)], [range(6, 80, 81)]],
    ['drops what lies inside', [range(6, 1, 100), range(6, 5)], [range(6, 1, 100)]],
    ['leaves a gap', [range(6, 80), range(6, 82)], [range(6, 80), range(6, 82)]],
    ['keeps protocols apart', [range(17, 80), range(6, 80)], [range(6, 80), range(17, 80)]],
  ];
  for (const [title, given, merged] of rows) test(title, () => assert.deepEqual(mergePorts(given), merged));
});

describe('matchesPort', () => {
  const rows: readonly (readonly [
    texts: readonly string[],
    l4Proto: number,
    port: number,
    matches: boolean,
  ])[] = [
    [[], 47, 0, true],
    [[], 6, 443, true],
    [['443'], 6, 443, true],
    [['443'], 17, 443, true],
    [['443'], 6, 444, false],
    [['443'], 132, 443, false],
    [['443/tcp'], 17, 443, false],
    [['8000-8100/udp'], 17, 8000, true],
    [['8000-8100/udp'], 17, 8100, true],
    [['8000-8100/udp'], 17, 7999, false],
    [['8000-8100/udp'], 17, 8101, false],
    [['icmp'], 1, 8, true],
    [['icmp'], 58, 128, true],
    [['icmp'], 6, 8, false],
    [['443/tcp', 'icmp'], 1, 0, true],
  ];
  for (const [texts, l4Proto, port, matches] of rows) {
    test(`[${texts.join(', ')}] ${matches ? 'holds' : 'does not hold'} ${l4Proto}/${port}`, () => {
      assert.equal(matchesPort(texts.flatMap(parsePort), l4Proto, port), matches);
    });
  }
});
