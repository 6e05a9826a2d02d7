import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { Event } from '../../src/flow/event.ts';
import type { SeenFlow } from '../../src/suggest/seen.ts';
import { type IsServed, SeenTargets } from '../../src/suggest/seen-targets.ts';
import { FLOW, LIFECYCLE, TIME_MS } from '../flow/events.ts';
import { flowEvent, lookupEvent } from './samples.ts';

const EPHEMERAL_FROM = 32_768;
const NOWHERE = () => [];
const isServed: IsServed = (_l4Proto, address, port) => address === '192.0.2.2' && [22, 8080].includes(port);

function collect(...events: readonly Event[]): SeenTargets {
  const targets = new SeenTargets(EPHEMERAL_FROM, isServed);
  for (const event of events) targets.take(event);
  return targets;
}

function text({ subject, fate, way, l4Proto, port, name, addresses, count }: SeenFlow): string {
  return [subject, fate, way, l4Proto, port ?? '-', name ?? '-', addresses.join('+'), count].join(' ');
}

const flowsOf = (targets: SeenTargets, namesOf: (address: string) => readonly string[] = NOWHERE) =>
  targets.list(namesOf).flows.map(text);

describe('SeenTargets tells flows apart', () => {
  test('by port and protocol, and adds up what is alike', () => {
    const targets = collect(
      flowEvent('198.51.100.7', 443),
      flowEvent('198.51.100.7', 443, { count: 4, timeMs: TIME_MS + 5_000 }),
      flowEvent('198.51.100.7', 80),
      flowEvent('198.51.100.7', 443, { proto: 'udp' }),
      LIFECYCLE,
    );
    assert.deepEqual(flowsOf(targets), [
      'host passed call 6 443 - 198.51.100.7 5',
      'host passed call 6 80 - 198.51.100.7 1',
      'host passed call 17 443 - 198.51.100.7 1',
    ]);
    const [first] = targets.list(NOWHERE).flows;
    assert.deepEqual([first?.firstMs, first?.lastMs], [TIME_MS, TIME_MS + 5_000]);
  });
  test('by name, whatever its address', () => {
    const targets = collect();
    targets.look('host', 'a.test', TIME_MS);
    for (const address of ['198.51.100.1', '198.51.100.2', '2001:db8::7'])
      targets.take(flowEvent(address, 443, { names: ['a.test'] }));
    assert.deepEqual(flowsOf(targets), [
      'host passed call 6 443 a.test 198.51.100.1+198.51.100.2+2001:db8::7 3',
    ]);
  });
  test('by subject and by fate', () => {
    const targets = collect(
      flowEvent('198.51.100.7', 443),
      flowEvent('198.51.100.7', 443, { subject: 'container:web' }),
      flowEvent('198.51.100.7', 443, { verdict: 'deny' }),
      flowEvent('198.51.100.7', 443, { reason: 'deny-cidr', rule: '-deny-cidr=198.51.100.0/24' }),
      flowEvent('198.51.100.7', 443, { verdict: 'deny', reason: 'deny-cidr' }),
      flowEvent('198.51.100.7', 443, { verdict: 'allow', reason: 'rule-cidr' }),
    );
    assert.deepEqual(flowsOf(targets), [
      'host passed call 6 443 - 198.51.100.7 2',
      'host refused call 6 443 - 198.51.100.7 1',
      'host barred call 6 443 - 198.51.100.7 2',
      'container:web passed call 6 443 - 198.51.100.7 1',
    ]);
  });
  test('of ICMP by type, and of protocols without ports by no port', () => {
    const targets = collect(
      flowEvent('198.51.100.7', 0, {
        packet: { family: 'ipv4', proto: 'icmp', src: '192.0.2.2', dst: '198.51.100.7', icmpType: 8 },
      }),
      flowEvent('198.51.100.7', 0, {
        packet: { family: 'ipv4', proto: 'gre', src: '192.0.2.2', dst: '198.51.100.7' },
      }),
    );
    assert.deepEqual(flowsOf(targets), [
      'host passed call 1 8 - 198.51.100.7 1',
      'host passed call 47 - - 198.51.100.7 1',
    ]);
  });
  test('but not the end of a flow, nor a later fragment', () => {
    const targets = collect(
      flowEvent('198.51.100.7', 443, { reason: 'ended' }),
      flowEvent('198.51.100.7', 443, { reason: 'fragment' }),
    );
    assert.deepEqual(flowsOf(targets), []);
  });
});

describe('SeenTargets takes a name', () => {
  test('that has a live lease, or that the subject looked up, and no other', () => {
    const targets = collect(
      { ...FLOW, subject: 'host' },
      flowEvent('198.51.100.9', 443, { names: ['strange.test'] }),
      lookupEvent('strange.test', { subject: 'container:web', reason: 'learned', verdict: 'allow' }),
      flowEvent('198.51.100.9', 443, { names: ['strange.test'] }),
      flowEvent('198.51.100.9', 443, { names: ['strange.test'], subject: 'container:web' }),
    );
    assert.deepEqual(flowsOf(targets), [
      'host passed call 6 443 www.example.com 198.51.100.7 1',
      'host passed call 6 443 - 198.51.100.9 2',
      'container:web passed call 6 443 strange.test 198.51.100.9 1',
    ]);
  });
  test('each of several that led there', () => {
    const targets = collect();
    for (const name of ['a.test', 'b.test']) targets.look('host', name, TIME_MS);
    targets.take(flowEvent('198.51.100.7', 443, { names: ['b.test', 'a.test', 'c.test'] }));
    assert.deepEqual(flowsOf(targets), [
      'host passed call 6 443 b.test 198.51.100.7 1',
      'host passed call 6 443 a.test 198.51.100.7 1',
    ]);
  });
  test('that no event told of as its first packet was folded into the series of another', () => {
    const targets = collect();
    targets.look('host', 'a.test', TIME_MS);
    targets.take(flowEvent('198.51.100.7', 443, { names: ['a.test'] }));
    targets.look('host', 'b.test', TIME_MS);
    targets.look('container:web', 'c.test', TIME_MS);
    const namesOf = (address: string) => (address === '198.51.100.7' ? ['c.test', 'b.test', 'a.test'] : []);
    assert.deepEqual(flowsOf(targets, namesOf), [
      'host passed call 6 443 a.test 198.51.100.7 1',
      'host passed call 6 443 b.test 198.51.100.7 1',
    ]);
  });
  test('that shares its address with many, each by its own answer, but not one that was looked up later', () => {
    const targets = collect();
    const names = Array.from({ length: 30 }, (_, number) => `n${number}.test`);
    for (const name of names) targets.look('host', name, TIME_MS, ['198.51.100.7']);
    targets.look('host', 'elsewhere.test', TIME_MS, ['198.51.100.8']);
    targets.look('host', 'later.test', TIME_MS + 60_000, ['198.51.100.7']);
    targets.look('container:web', 'other.test', TIME_MS, ['198.51.100.7']);
    targets.take(flowEvent('198.51.100.7', 443, { names: ['n0.test'] }));
    const { flows, missing } = targets.list(() => names.slice(0, 8));
    assert.deepEqual(
      flows.map(({ name, addresses }) => `${name} ${addresses.join()}`),
      names.map((name) => `${name} 198.51.100.7`),
    );
    assert.deepEqual(missing, []);
  });
  test('of a refused private answer, and without case and final dot', () => {
    const targets = collect(
      lookupEvent('Int.Test.', { reason: 'dns-inward', verdict: 'deny', addresses: ['10.0.0.7'] }),
      flowEvent('10.0.0.7', 443, { names: ['Int.Test.'] }),
    );
    assert.deepEqual(flowsOf(targets), ['host passed call 6 443 int.test 10.0.0.7 1']);
    assert.deepEqual(
      targets.list(NOWHERE).lookups.map(({ name, fate }) => [name, fate]),
      [['int.test', 'passed']],
    );
  });
});

describe('SeenTargets takes for a reply', () => {
  const icmp = (proto: string, icmpType: number) =>
    flowEvent('198.51.100.7', 0, {
      packet: { family: 'ipv4', proto, src: '192.0.2.2', dst: '198.51.100.7', icmpType },
    });
  const rows: readonly (readonly [string, Event, string])[] = [
    [
      'what goes from a served port to an ephemeral one',
      flowEvent('198.51.100.7', 51_000, { sport: 8080 }),
      'host passed reply 6 8080 - 198.51.100.7 1',
    ],
    ['a reply to a ping', icmp('icmp', 0), 'host passed reply 1 0 - 198.51.100.7 1'],
    ['an error', icmp('icmpv6', 1), 'host passed reply 58 1 - 198.51.100.7 1'],
  ];
  for (const [what, event, expected] of rows)
    test(what, () => assert.deepEqual(flowsOf(collect(event)), [expected]));
  const calls: readonly (readonly [string, Event])[] = [
    ['a call', flowEvent('198.51.100.7', 51_000)],
    ['NTP between two servers', flowEvent('198.51.100.7', 123, { proto: 'udp', sport: 123 })],
    ['a call from a low port that nothing serves', flowEvent('198.51.100.7', 51_000, { sport: 1023 })],
    ['a ping', icmp('icmp', 8)],
  ];
  for (const [what, event] of calls)
    test(`not ${what}`, () => assert.match(flowsOf(collect(event)).join(), /^host passed call /));
  test('less where the host gives low ports to its own sockets', () => {
    const targets = new SeenTargets(1_024, isServed);
    targets.take(flowEvent('198.51.100.7', 51_000, { sport: 8080 }));
    targets.take(flowEvent('198.51.100.7', 51_001, { sport: 22 }));
    assert.deepEqual(flowsOf(targets), [
      'host passed call 6 51000 - 198.51.100.7 1',
      'host passed reply 6 22 - 198.51.100.7 1',
    ]);
  });
});

describe('SeenTargets keeps lookups', () => {
  const lookupsOf = (targets: SeenTargets) =>
    targets
      .list(NOWHERE)
      .lookups.map(({ subject, fate, name, count, rule }) =>
        [subject, fate, name, count, rule ?? '-'].join(' '),
      );
  test('by fate, with the rule that denies', () => {
    const targets = collect(
      lookupEvent('a.test'),
      lookupEvent('a.test', { qtype: 'a' }),
      lookupEvent('b.test', { verdict: 'deny' }),
      lookupEvent('c.test', { reason: 'dns-denied', rule: '-deny-name=c.test' }),
      lookupEvent('d.test', { verdict: 'allow', reason: 'learned' }),
      lookupEvent('d.test', { verdict: 'allow', reason: 'learned', subject: 'container:web' }),
      lookupEvent('e.test', { verdict: 'deny', reason: 'dns-failed', rcode: 'nxdomain' }),
    );
    assert.deepEqual(lookupsOf(targets), [
      'host passed a.test 2 -',
      'host refused b.test 1 -',
      'host barred c.test 1 -deny-name=c.test',
      'host passed d.test 1 -',
      'host passed e.test 1 -',
      'container:web passed d.test 1 -',
    ]);
  });
  test('that passed once, also where they are refused later, but not where they are denied', () => {
    const targets = collect(
      lookupEvent('a.test'),
      lookupEvent('a.test', { verdict: 'deny' }),
      lookupEvent('b.test'),
      lookupEvent('b.test', { verdict: 'deny', reason: 'dns-denied' }),
      lookupEvent('c.test', { verdict: 'deny' }),
      lookupEvent('c.test'),
    );
    assert.deepEqual(lookupsOf(targets), [
      'host passed a.test 2 -',
      'host barred b.test 2 -',
      'host passed c.test 2 -',
    ]);
  });
  test('but not those of who asks for the list', () => {
    const process = { pid: 77, uid: 0, comm: 'node' };
    const targets = collect();
    const [first, second] = [targets.ignore(77), targets.ignore(77)];
    targets.take(lookupEvent('7.100.51.198.in-addr.arpa', { process }));
    targets.take(lookupEvent('a.test', { process: { ...process, pid: 78 } }));
    targets.take(lookupEvent('b.test', { process }));
    first[Symbol.dispose]();
    targets.take(lookupEvent('8.100.51.198.in-addr.arpa', { process }));
    second[Symbol.dispose]();
    targets.take(lookupEvent('9.100.51.198.in-addr.arpa', { process }));
    assert.deepEqual(lookupsOf(targets), [
      'host passed a.test 1 -',
      'host passed b.test 1 -',
      'host passed 9.100.51.198.in-addr.arpa 1 -',
    ]);
  });
  test('and counts what could not be read', () => {
    const targets = collect(
      lookupEvent('', { reason: 'dns-unreadable' }),
      flowEvent('198.51.100.7', 443, {
        reason: 'unreadable',
        packet: { family: 'unread', etherType: 0x0800 },
      }),
      flowEvent('198.51.100.7', 443, {
        reason: 'ethertype',
        packet: { family: 'unread', etherType: 0x8847 },
        count: 3,
      }),
    );
    const { flows, lookups, unread } = targets.list(NOWHERE);
    assert.deepEqual([flows, lookups], [[], []]);
    assert.deepEqual(
      unread.map(({ reason, count }) => [reason, count]),
      [
        ['dns-unreadable', 1],
        ['unreadable', 1],
        ['ethertype', 3],
      ],
    );
  });
});

describe('SeenTargets is bounded', () => {
  test('past 16,384 flows it counts, and still adds to those it has', () => {
    const targets = collect();
    for (let number = 0; number < 16_384 + 100; number += 1)
      targets.take(flowEvent(`198.18.${number >> 8}.${number & 255}`, 443));
    targets.take(flowEvent('198.18.0.0', 443));
    const { flows, others } = targets.list(NOWHERE);
    assert.deepEqual([flows.length, others, flows[0]?.count], [16_384, 100, 2]);
  });
  test('past 16,384 lookups it counts, and takes no name for looked up that it does not know', () => {
    const targets = collect();
    for (let number = 0; number < 16_384 + 100; number += 1) targets.look('host', `n${number}.test`, TIME_MS);
    targets.take(flowEvent('198.51.100.7', 443, { names: ['n16400.test'] }));
    const { lookups, missing, flows } = targets.list(NOWHERE);
    assert.deepEqual([lookups.length, flows[0]?.name], [16_384, undefined]);
    assert.deepEqual(missing, [{ kind: 'missing', subject: 'host', what: 'lookups', count: 100 }]);
  });
  test('subjects share the room for lookups: who has most makes room, and is told so', () => {
    const targets = collect();
    for (let number = 0; number < 16_384; number += 1) targets.look('host', `n${number}.test`, TIME_MS);
    for (let number = 0; number < 10_000; number += 1)
      targets.look('container:web', `w${number}.test`, TIME_MS);
    const { lookups, missing } = targets.list(NOWHERE);
    const namesOf = (subject: string) => lookups.filter((each) => each.subject === subject);
    assert.deepEqual([namesOf('host').length, namesOf('container:web').length], [8_192, 8_192]);
    assert.deepEqual(
      missing.map(({ subject, count }) => [subject, count]),
      [
        ['host', 8_192],
        ['container:web', 1_808],
      ],
    );
  });
  test('of names that were folded it adds 65,536 flows, and says how many addresses are left, soon', () => {
    const targets = collect();
    for (let name = 0; name < 1_000; name += 1)
      targets.look('host', `n${name}.test`, TIME_MS, ['198.51.100.7']);
    for (let port = 1; port <= 16_000; port += 1) targets.take(flowEvent('198.51.100.7', port));
    const { flows, missing } = targets.list(NOWHERE);
    assert.equal(flows.length, 16_000 + 65_536);
    assert.deepEqual(missing, [
      { kind: 'missing', subject: 'host', what: 'names', count: 16_000 - Math.floor(65_536 / 1_000) },
    ]);
  });
  test('of many names and flows of one place the work is bounded by what is known', () => {
    const targets = collect();
    for (let name = 0; name < 10_000; name += 1) {
      targets.look('host', `n${name}.test`, TIME_MS, ['198.51.100.7']);
      targets.take(flowEvent('198.51.100.7', 443, { names: [`n${name}.test`] }));
    }
    let steps = 0;
    for (const _line of targets.lines(NOWHERE)) steps += 1;
    assert.ok(steps < 50_000, `${steps} steps`);
  });
  test('of names whose addresses found no room it says so', () => {
    const targets = collect(flowEvent('198.51.100.7', 443));
    for (let number = 0; number < 100; number += 1)
      targets.look('host', 'a.test', TIME_MS, [`198.51.100.${number}`]);
    assert.deepEqual(targets.list(NOWHERE).missing, [
      { kind: 'missing', subject: 'host', what: 'names', count: 36 },
    ]);
  });
  test('of one name it keeps 16 addresses, and says that there were more', () => {
    const targets = collect();
    targets.look('host', 'a.test', TIME_MS);
    for (let number = 0; number < 20; number += 1)
      targets.take(flowEvent(`198.51.100.${number}`, 443, { names: ['a.test'] }));
    const [flow] = targets.list(NOWHERE).flows;
    assert.deepEqual([flow?.addresses.length, flow?.hasMore, flow?.count], [16, true, 20]);
  });
  test('events that were lost are counted', () => {
    assert.equal(
      collect({ ...LIFECYCLE, lost: 3 }, flowEvent('198.51.100.7', 1, { lost: 4 })).list(NOWHERE).lost,
      7,
    );
  });
});
