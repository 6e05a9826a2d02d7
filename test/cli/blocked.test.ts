import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { BlockedTargets } from '../../src/cli/blocked.ts';
import type { DnsEvent, FlowEvent, LifecycleEvent, Packet } from '../../src/flow/event.ts';
import { parseFlagRules } from '../../src/policy/flag-rules.ts';

const NONE = { cidr: [], denyCidr: [], cn: [], name: [], denyName: [], port: [] };
const HEAD = {
  seq: 1,
  timeMs: 0,
  lost: 0,
  policy: 'flags',
  subject: 'cgroup:/x',
  iface: 'eth0',
  count: 1,
  windowMs: 0,
} as const;
const QUERY: Packet = {
  family: 'ipv4',
  proto: 'udp',
  src: '192.0.2.2',
  sport: 1,
  dst: '192.0.2.53',
  dport: 53,
};

function collect(
  events: readonly (DnsEvent | FlowEvent | LifecycleEvent)[],
  flags: Partial<typeof NONE> | { port: string[]; name: string[] } = {},
  dns: 'open' | 'strict' = 'strict',
): BlockedTargets {
  const { rules } = parseFlagRules({ ...NONE, ...flags });
  const blocked = new BlockedTargets({ rules, dns, resolvers: ['192.0.2.53'] });
  for (const event of events) blocked.take(event);
  return blocked;
}

function lookup(qname: string | undefined, more: Partial<DnsEvent> = {}): DnsEvent {
  const named = qname === undefined ? {} : { qname, qtype: 'a' };
  return {
    ...HEAD,
    kind: 'dns',
    verdict: 'deny',
    reason: 'dns-strict',
    packet: QUERY,
    addresses: [],
    ...named,
    ...more,
  };
}

function flow(
  dst: string,
  dport: number | undefined,
  more: Partial<FlowEvent> = {},
  proto = 'tcp',
): FlowEvent {
  const packet: Packet = {
    family: dst.includes(':') ? 'ipv6' : 'ipv4',
    proto,
    src: '::',
    dst,
    ...(dport !== undefined && { dport }),
  };
  return {
    ...HEAD,
    kind: 'flow',
    verdict: 'deny',
    reason: 'no-rule',
    packet,
    names: [],
    leases: [],
    ...more,
  };
}

const onlyRemedy = (blocked: BlockedTargets) => blocked.list('blocked').map(({ remedy }) => remedy);

describe('BlockedTargets', () => {
  test('lookups of one name are one target, counted, with those who asked', () => {
    const asked = (comm: string) => lookup('a.example.', { process: { pid: 1, uid: 0, comm } });
    const [first, ...more] = collect([asked('curl'), asked('curl'), asked('git')]).list('blocked');
    assert.deepEqual(first, {
      target: 'a.example',
      fate: 'blocked',
      isLookup: true,
      reason: 'dns-strict',
      remedy: '-name=a.example',
      programs: ['curl', 'git'],
      count: 3,
    });
    assert.deepEqual(more, []);
  });

  test('no more than three programs are named', () => {
    const events = ['a', 'b', 'c', 'd'].map((comm) =>
      lookup('x.example', { process: { pid: 1, uid: 0, comm } }),
    );
    assert.deepEqual(collect(events).list('blocked')[0]?.programs, ['a', 'b', 'c']);
  });

  test('what passed, what only taught nothing and what happened to the enforcer is no target', () => {
    const blocked = collect([
      lookup('a.example', { verdict: 'allow', reason: 'learned' }),
      lookup('b.example', { reason: 'dns-inward' }),
      lookup('c.example', { reason: 'dns-unparsed' }),
      flow('198.51.100.1', 80, { verdict: 'allow', reason: 'rule-cidr' }),
      { seq: 1, timeMs: 0, lost: 7, kind: 'lifecycle', action: 'attached', message: '' },
    ]);
    assert.deepEqual([blocked.list('blocked'), blocked.list('audited'), blocked.hasBlocked], [[], [], false]);
  });

  test('what audit let pass is apart, and is not blocked', () => {
    const blocked = collect([flow('198.51.100.1', 80, { verdict: 'would_deny' })]);
    assert.deepEqual(
      blocked.list('audited').map(({ target, remedy }) => [target, remedy]),
      [['198.51.100.1:80/tcp', '-cidr=198.51.100.1']],
    );
    assert.equal(blocked.hasBlocked, false);
    assert.equal(collect([flow('198.51.100.1', 80)]).hasBlocked, true);
  });

  test('most often tried first, then by target', () => {
    const blocked = collect([
      flow('203.0.113.2', 1),
      flow('203.0.113.1', 1),
      flow('203.0.113.3', 1, { count: 5 }),
    ]);
    assert.deepEqual(
      blocked.list('blocked').map(({ target }) => target),
      ['203.0.113.3:1/tcp', '203.0.113.1:1/tcp', '203.0.113.2:1/tcp'],
    );
  });

  test('targets past a thousand are counted together, known ones go on', () => {
    const events = Array.from({ length: 1_005 }, (_, index) => lookup(`n${index}.example`));
    const blocked = collect([...events, lookup('n0.example'), lookup('n1004.example', { count: 2 })]);
    assert.deepEqual([blocked.list('blocked').length, blocked.others], [1_000, 7]);
    assert.equal(blocked.list('blocked')[0]?.count, 2);
  });

  test('lost events are added up, also of what passed', () => {
    assert.equal(
      collect([flow('203.0.113.1', 1, { lost: 2 }), lookup('a.example', { verdict: 'allow', lost: 3 })]).lost,
      5,
    );
  });

  test('packets without a target are one', () => {
    const [first] = collect([
      flow('::', 0, { reason: 'unreadable' }),
      flow('::', 0, { reason: 'ethertype' }),
    ]).list('blocked');
    assert.deepEqual([first?.target, first?.remedy, first?.count], ['packets that can not be read', '', 2]);
  });
});

describe('the flags that would allow it', () => {
  const lookups = [
    { what: 'a name', event: lookup('www.a_b.example.'), remedy: '-name=www.a_b.example' },
    {
      what: 'a type that a pattern does not cover',
      event: lookup('a.example', { reason: 'dns-type' }),
      remedy: '-name=a.example',
    },
    { what: 'a name that a shell reads', event: lookup('a$(x).example'), remedy: '' },
    { what: 'a name with a star', event: lookup('*.example'), remedy: '' },
    { what: 'the root', event: lookup('.'), remedy: '' },
    {
      what: 'a lookup that can not be read',
      event: lookup(undefined, { reason: 'dns-unreadable' }),
      remedy: '',
    },
    {
      what: 'a name that is denied',
      event: lookup('a.example', { reason: 'dns-denied', rule: '-deny-name=a.example' }),
      remedy: 'without -deny-name=a.example',
    },
  ];
  for (const { what, event, remedy } of lookups)
    test(`${what}: ${remedy || 'none'}`, () => assert.deepEqual(onlyRemedy(collect([event])), [remedy]));

  const named = { names: ['a.example'] };
  const flows = [
    { what: 'IPv4', event: flow('203.0.113.1', 80), remedy: '-cidr=203.0.113.1' },
    { what: 'IPv6', event: flow('2001:db8::1', 80), remedy: '-cidr=2001:db8::1' },
    { what: 'ICMP', event: flow('203.0.113.1', undefined, {}, 'icmp'), remedy: '-cidr=203.0.113.1' },
    { what: 'a known name', event: flow('203.0.113.1', 80, named), remedy: '-name=a.example' },
    {
      what: 'a private address of a known name',
      event: flow('10.0.0.1', 80, named),
      remedy: '-cidr=10.0.0.1',
    },
    {
      what: 'a denied address',
      event: flow('203.0.113.1', 80, { reason: 'deny-cidr', rule: '-deny-cidr=203.0.113.0/24' }),
      remedy: 'without -deny-cidr=203.0.113.0/24',
    },
    {
      what: 'an ended lease',
      event: flow('203.0.113.1', 80, { ...named, reason: 'lease-ended' }),
      remedy: '-name=a.example',
    },
    {
      what: 'a port that a file leaves out',
      event: flow('203.0.113.1', 80, { ...named, reason: 'port' }),
      remedy: '-name=a.example',
    },
    {
      what: 'another resolver',
      event: flow('203.0.113.53', 53, {}, 'udp'),
      remedy: '-resolver=192.0.2.53,203.0.113.53',
    },
    { what: 'DNS over TLS', event: flow('203.0.113.53', 853), remedy: '-cidr=203.0.113.53 -dns=open' },
  ];
  for (const { what, event, remedy } of flows)
    test(`${what}: ${remedy}`, () => assert.deepEqual(onlyRemedy(collect([event])), [remedy]));

  test('another resolver with -dns=open is an address', () => {
    assert.deepEqual(onlyRemedy(collect([flow('203.0.113.53', 53, {}, 'udp')], {}, 'open')), [
      '-cidr=203.0.113.53',
    ]);
  });

  const limited = { name: ['b.example'], port: ['443/tcp'] };
  const ports = [
    { what: 'a port beside', event: flow('203.0.113.1', 80, { reason: 'port' }), remedy: '-port=80/tcp' },
    {
      what: 'a name and a port',
      event: flow('203.0.113.1', 80, named),
      remedy: '-name=a.example -port=80/tcp',
    },
    {
      what: 'an address at a port that is listed',
      event: flow('203.0.113.1', 443),
      remedy: '-cidr=203.0.113.1',
    },
    {
      what: 'another protocol',
      event: flow('203.0.113.1', 443, {}, 'udp'),
      remedy: '-cidr=203.0.113.1 -port=443/udp',
    },
    {
      what: 'ICMP',
      event: flow('203.0.113.1', undefined, {}, 'icmp'),
      remedy: '-cidr=203.0.113.1 -port=icmp',
    },
  ];
  for (const { what, event, remedy } of ports)
    test(`under -port=443/tcp, ${what}: ${remedy}`, () =>
      assert.deepEqual(onlyRemedy(collect([event], limited)), [remedy]));
});
