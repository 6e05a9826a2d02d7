import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { UsageError } from '../../src/errors.ts';
import type { Event, Packet } from '../../src/flow/event.ts';
import { FILTERS, type FilterTexts, NO_FILTER, parseFilter, parseSince } from '../../src/flow/filter.ts';
import { FLOW, LIFECYCLE, LOOKUP, POLICY, TIME_MS } from './events.ts';

const NOW_MS = TIME_MS + 60_000;
const { rule: _allows, ...UNRULED } = FLOW;
const DENIED: Event = {
  ...UNRULED,
  verdict: 'deny',
  reason: 'no-rule',
  names: ['a.test', 'www.b.test'],
  leases: [],
};
const { process: _process, rule: _rule, ...NOBODYS } = FLOW;
const UNREAD: Event = { ...NOBODYS, packet: { family: 'unread', etherType: 0x8847 } };

function flowTo(packet: Packet): Event {
  return { ...FLOW, packet };
}

const PING = flowTo({ family: 'ipv4', proto: 'icmp', src: '192.0.2.1', dst: '198.51.100.7', icmpType: 8 });
const PING6 = flowTo({ family: 'ipv6', proto: 'icmpv6', src: '::1', dst: '2001:db8::7', icmpType: 128 });
const GRE = flowTo({ family: 'ipv4', proto: 'gre', src: '192.0.2.1', dst: '198.51.100.7' });
const WEB6 = flowTo({ family: 'ipv6', proto: 'tcp', src: '::1', sport: 1, dst: '2001:db8::7', dport: 80 });
const MAPPED = flowTo({
  family: 'ipv6',
  proto: 'tcp',
  src: '::1',
  sport: 1,
  dst: '::ffff:198.51.100.7',
  dport: 80,
});
const PYTHON: Event = { ...FLOW, process: { pid: 77, uid: 0, comm: 'worker-1', exe: '/usr/bin/python3' } };

describe('parseFilter lets through, and does not:', () => {
  const rows: readonly (readonly [
    texts: Partial<FilterTexts>,
    wanted: readonly Event[],
    others: readonly Event[],
  ])[] = [
    [{}, [FLOW, DENIED, LOOKUP, LIFECYCLE, POLICY, UNREAD], []],
    [{ verdict: ['allow'] }, [FLOW], [DENIED, LOOKUP, LIFECYCLE, POLICY]],
    [{ verdict: ['deny', 'would_deny'] }, [DENIED, LOOKUP, { ...FLOW, verdict: 'would_deny' }], [FLOW]],
    [{ name: ['www.example.com'] }, [FLOW], [DENIED, LOOKUP, LIFECYCLE]],
    [{ name: ['WWW.Example.com.'] }, [FLOW], [DENIED]],
    [{ name: ['*.example.com'] }, [FLOW], [{ ...FLOW, names: ['a.b.example.com', 'example.com'] }]],
    [{ name: ['**.example.com'] }, [FLOW, { ...FLOW, names: ['a.b.example.com'] }], [DENIED]],
    [{ name: ['*.b.test'] }, [DENIED], [FLOW]],
    [{ name: ['evil.test', 'a.test'] }, [DENIED, LOOKUP], [FLOW, { ...FLOW, names: [] }]],
    [{ to: ['198.51.100.7'] }, [FLOW, PING, GRE, MAPPED], [WEB6, LOOKUP, UNREAD]],
    [{ to: ['198.51.100.0/24', '192.0.2.0/26'] }, [FLOW, LOOKUP], [WEB6]],
    [{ to: ['0.0.0.0/0'] }, [FLOW, LOOKUP], [WEB6, UNREAD]],
    [{ to: ['2001:db8::/32'] }, [WEB6, PING6], [FLOW]],
    [{ to: ['::/0'] }, [WEB6, PING6], [FLOW]],
    [{ port: ['443'] }, [FLOW], [WEB6, PING, LOOKUP, UNREAD]],
    [{ port: ['443/tcp'] }, [FLOW], [WEB6]],
    [{ port: ['443/udp'] }, [], [FLOW]],
    [{ port: ['53/udp', '80-81/tcp'] }, [LOOKUP, WEB6], [FLOW]],
    [{ port: ['icmp:8'] }, [PING], [PING6, FLOW]],
    [{ port: ['icmp:0-7'] }, [], [PING, PING6]],
    [{ port: ['icmpv6:128'] }, [PING6], [PING]],
    [{ port: ['icmp'] }, [PING, PING6], [FLOW]],
    [{ port: ['tcp'] }, [FLOW, WEB6], [LOOKUP, PING]],
    [{ port: ['proto:47'] }, [GRE], [FLOW, UNREAD]],
    [{ proto: ['tcp'] }, [FLOW, WEB6], [LOOKUP, PING, UNREAD, LIFECYCLE]],
    [{ proto: ['udp', 'icmpv6'] }, [LOOKUP, PING6], [FLOW, PING]],
    [{ proto: ['proto-47'] }, [GRE], [FLOW]],
    [{ proto: ['proto:47'] }, [GRE], [FLOW]],
    [{ proto: ['UDP'], verdict: ['Deny'] }, [LOOKUP], [FLOW]],
    [{ proto: ['gre'] }, [GRE], [FLOW]],
    [{ proto: ['proto-6'] }, [FLOW], [LOOKUP]],
    [{ process: ['curl'] }, [FLOW, LOOKUP], [PYTHON, NOBODYS, UNREAD, LIFECYCLE]],
    [{ process: ['1234'] }, [FLOW], [PYTHON, NOBODYS]],
    [{ process: ['/usr/bin/python3'] }, [PYTHON], [FLOW]],
    [{ process: ['python3'] }, [PYTHON], [FLOW]],
    [{ process: ['worker-1'] }, [PYTHON], [FLOW]],
    [{ process: ['bin/python3', 'ython3', 'CURL', '123'] }, [], [PYTHON, FLOW]],
    [{ rule: ['.example.com'] }, [FLOW, { ...FLOW, rule: '-cn=.example.com' }], [DENIED, LOOKUP, NOBODYS]],
    [{ rule: ['-cn=.example.com'] }, [{ ...FLOW, rule: '-cn=.example.com' }], [FLOW]],
    [{ rule: ['web=1'] }, [{ ...FLOW, rule: 'web=1' }], [FLOW, { ...FLOW, rule: '1' }]],
    [{ since: ['60s'] }, [FLOW, LIFECYCLE, POLICY], [{ ...FLOW, timeMs: TIME_MS - 1 }]],
    [{ since: ['59s'] }, [{ ...LIFECYCLE, timeMs: TIME_MS + 1_000 }], [FLOW, LIFECYCLE]],
    [{ since: ['1d', '59s'] }, [], [FLOW]],
    [{ since: ['60s'], verdict: ['allow'] }, [FLOW], [DENIED, LIFECYCLE]],
    [{ verdict: ['allow'], proto: ['udp'] }, [], [FLOW, LOOKUP]],
    [
      {
        verdict: ['allow', 'deny'],
        name: ['**.example.com', 'evil.test'],
        port: ['443', '53'],
        proto: ['tcp', 'udp'],
      },
      [FLOW, LOOKUP],
      [DENIED, PING, { ...FLOW, names: [] }],
    ],
    [
      { verdict: ['allow'], to: ['198.51.100.0/24'], process: ['curl'], rule: ['.example.com'] },
      [FLOW],
      [PYTHON, { ...FLOW, rule: 'other' }],
    ],
  ];
  for (const [texts, wanted, others] of rows) {
    test(JSON.stringify(texts), () => {
      const wants = parseFilter({ ...NO_FILTER, ...texts }, NOW_MS);
      assert.deepEqual([...wanted, ...others].filter(wants), wanted);
    });
  }
});

describe('parseFilter refuses, and quotes:', () => {
  const rows: readonly (readonly [name: (typeof FILTERS)[number], texts: readonly string[]])[] = [
    ['verdict', ['drop', 'allowed', 'would-deny', '', 'undefined']],
    ['name', ['a..b', '', 'a b', '.example.com', 'a.**.b', '192.0.2.1', '*/x']],
    ['to', ['a.test', '192.0.2.256', '192.0.2.0/33', '', '192.0.2.1:443', '2001:db8::/129']],
    ['port', ['0', '65536', '9-1', '443/quic', 'https', '', 'icmp:256', '-1', '1e3']],
    ['proto', ['tpc', 'proto-256', 'proto-', '6', 'quic', '']],
    ['process', ['']],
    ['rule', ['']],
    [
      'since',
      [
        ...['', '10', '10x', '-1s', '1.5h', '10 m', 'now', 'yesterday', '1767225600'],
        ...['2026-02-29', '2026-02-31T08:00:00Z', '2026-13-01', '2026-01-00', '2026-1-1', '26-01-01'],
        ...['2026-01-31T24:01', '2026-01-31T08', '2026-01-31T08:60', '2026-01-31T08:30:61Z'],
        ...['2026-01-31T08:30+25:00', '2026-01-31T08:30CET', '2026-01-31Z', '2026-01-31T08:30:00.Z'],
        ...[' 2026-01-31', '2026-01-31T08:30:00Z, 1d'],
      ],
    ],
  ];
  for (const [name, texts] of rows) {
    for (const text of texts) {
      test(`${name} ${JSON.stringify(text)}`, () => {
        assert.throws(
          () => parseFilter({ ...NO_FILTER, [name]: [text] }, NOW_MS),
          (thrown) => thrown instanceof UsageError && thrown.message.includes(`"${text}"`),
        );
      });
    }
  }

  test('one bad text among good ones', () => {
    assert.throws(() => parseFilter({ ...NO_FILTER, verdict: ['allow', 'no'] }, NOW_MS), /"no"/);
  });

  test('more than the enforcer should look at', () => {
    const rule = (count: number) => ({
      ...NO_FILTER,
      rule: Array.from({ length: count }, (_, at) => `r${at}`),
    });
    parseFilter(rule(64), NOW_MS);
    assert.throws(() => parseFilter(rule(65), NOW_MS), /65 filters are given: at most 64 are legal/);
    assert.throws(() => parseFilter({ ...rule(64), proto: ['tcp'] }, NOW_MS), /65 filters/);
  });
});

describe('parseSince reads', () => {
  const local = (...parts: [number, number, number, number?, number?, number?, number?]) =>
    new Date(...parts).getTime();
  const rows: readonly (readonly [text: string, timeMs: number])[] = [
    ['0s', NOW_MS],
    ['90s', NOW_MS - 90_000],
    ['10m', NOW_MS - 600_000],
    ['2h', NOW_MS - 7_200_000],
    ['1d', NOW_MS - 86_400_000],
    ['999999999d', NOW_MS - 86_400_000 * 999_999_999],
    ['2026-01-31T08:30:00Z', Date.UTC(2026, 0, 31, 8, 30)],
    ['2026-01-31t08:30:00z', Date.UTC(2026, 0, 31, 8, 30)],
    ['2026-01-31T08:30:00.5Z', Date.UTC(2026, 0, 31, 8, 30, 0, 500)],
    ['2026-01-31T08:30:00.123456789Z', Date.UTC(2026, 0, 31, 8, 30, 0, 123)],
    ['2026-01-31T08:30+02:00', Date.UTC(2026, 0, 31, 6, 30)],
    ['2026-01-31 08:30:00-05:30', Date.UTC(2026, 0, 31, 14, 0)],
    ['2024-02-29T00:00Z', Date.UTC(2024, 1, 29)],
    ['2026-01-31T08:30', local(2026, 0, 31, 8, 30)],
    ['2026-01-31 08:30:15', local(2026, 0, 31, 8, 30, 15)],
    ['2026-07-31', local(2026, 6, 31)],
  ];
  for (const [text, timeMs] of rows) test(text, () => assert.equal(parseSince(text, NOW_MS), timeMs));
});

test('every filter has a list', () => assert.deepEqual(Object.keys(NO_FILTER), [...FILTERS]));
