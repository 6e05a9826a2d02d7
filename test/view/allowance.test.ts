import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { FLAGS } from '../../src/cli/flags.ts';
import { normaliseArgs } from '../../src/cli/normalise.ts';
import { parsePolicySource } from '../../src/cli/policy-flags.ts';
import type { DnsEvent, FlowEvent } from '../../src/flow/event.ts';
import { readPolicies } from '../../src/formats/read-policies.ts';
import { parseName } from '../../src/policy/name.ts';
import { matchesPort, type PortRange, parsePort } from '../../src/policy/port.ts';
import { parseAddress } from '../../src/policy/prefix.ts';
import type { Rule } from '../../src/policy/rule.ts';
import { holdsAddress, holdsName } from '../../src/policy/who.ts';
import { type Allowance, allowanceOf } from '../../src/view/allowance.ts';
import type { PageState, SubjectState } from '../../src/view/state.ts';
import { FLOW, LIFECYCLE, LOOKUP } from '../flow/events.ts';

const DENIED: FlowEvent = { ...FLOW, verdict: 'deny', reason: 'no-rule', leases: [] };

function state(more: Partial<SubjectState> = {}): PageState {
  const host = {
    subject: 'host',
    audit: false,
    dns: 'open',
    policies: ['flags'],
    rules: 1,
    ...more,
  } as const;
  return { instance: 'default', pid: 1, startedMs: 0, subjects: [host], resolvers: ['192.0.2.53'] };
}

function flow(dst: string, names: readonly string[], proto: string, more: object): FlowEvent {
  const family = dst.includes(':') ? 'ipv6' : 'ipv4';
  return { ...DENIED, names, packet: { family, proto, src: '192.0.2.1', dst, ...more } };
}

/** The rules of an allowance: those of its flags, and those of its policy file. */
async function rulesOf({
  flags = '',
  policy = '',
}: Allowance): Promise<{ flags: readonly Rule[]; policy: readonly Rule[] }> {
  const { source } = parsePolicySource(normaliseArgs(flags.split(' '), FLAGS).values);
  const { parts } = await readPolicies([{ file: 'page.yaml', text: policy }], { lenient: false });
  return { flags: source.line.rules, policy: parts.flatMap(({ rules }) => [...rules]) };
}

function lets(rules: readonly Rule[], { names, packet }: FlowEvent, l4Proto: number, port: number): boolean {
  assert.ok(packet.family !== 'unread');
  const address = parseAddress(packet.dst);
  return rules.some(
    ({ who, ports }) =>
      matchesPort(ports, l4Proto, port) &&
      (holdsAddress(who, address) || names.some((name) => holdsName(who, parseName(name)))),
  );
}

describe('allowanceOf gives flags and a policy file that allow', () => {
  const rows: readonly (readonly [what: string, event: FlowEvent, l4Proto: number, port: number])[] = [
    ['a name', flow('198.51.100.7', ['www.example.com'], 'tcp', { sport: 1, dport: 443 }), 6, 443],
    ['an address', flow('198.51.100.7', [], 'udp', { sport: 1, dport: 53 }), 17, 53],
    ['an IPv6 address', flow('2001:db8::7', [], 'tcp', { sport: 1, dport: 22 }), 6, 22],
    ['a link-local address', flow('fe80::7', [], 'tcp', { sport: 1, dport: 22 }), 6, 22],
    ['a ping', flow('198.51.100.7', [], 'icmp', { icmpType: 8 }), 1, 8],
    ['a ping over IPv6', flow('2001:db8::7', [], 'icmpv6', { icmpType: 128 }), 58, 128],
    ['a protocol without ports', flow('198.51.100.7', [], 'gre', {}), 47, 0],
    ['a protocol without a name', flow('198.51.100.7', [], 'proto-253', {}), 253, 0],
    [
      'a name that YAML takes for something else',
      flow('198.51.100.7', ['null'], 'tcp', { sport: 1, dport: 443 }),
      6,
      443,
    ],
  ];
  for (const [what, event, l4Proto, port] of rows) {
    test(what, async () => {
      const allowance = allowanceOf(event, state());
      assert.ok(allowance);
      const rules = await rulesOf(allowance);
      assert.equal(lets(rules.flags, event, l4Proto, port), true, allowance.flags);
      assert.equal(lets(rules.policy, event, l4Proto, port), true, allowance.policy);
      assert.equal(
        lets(
          rules.policy,
          {
            ...event,
            names: ['other.example'],
            packet: { ...FLOW.packet, family: 'ipv4', proto: 'tcp', src: '192.0.2.1', dst: '203.0.113.1' },
          },
          l4Proto,
          port,
        ),
        false,
      );
      assert.equal(lets(rules.policy, event, 6, 65_000), false, 'another port');
    });
  }

  test('a lookup', async () => {
    const allowance = allowanceOf({ ...LOOKUP, qname: 'www.example.com.' }, state({ dns: 'strict' }));
    assert.ok(allowance);
    const rules = await rulesOf(allowance);
    for (const each of [rules.flags, rules.policy])
      assert.ok(
        each.some(({ who }) => holdsName(who, 'www.example.com')) &&
          !each.some(({ who }) => holdsName(who, 'example.com')),
      );
    assert.match(allowance.policy ?? '', /^dns: strict$/m);
  });

  test('an answer that points inward, by its address', async () => {
    const event: DnsEvent = {
      ...LOOKUP,
      reason: 'dns-inward',
      verdict: 'deny',
      addresses: ['10.0.0.5', 'fd00::5'],
    };
    const allowance = allowanceOf(event, state());
    assert.ok(allowance);
    const rules = await rulesOf(allowance);
    for (const each of [rules.flags, rules.policy])
      assert.equal(each.filter(({ who }) => holdsAddress(who, parseAddress('10.0.0.5'))).length, 1);
    assert.match(allowance.remark ?? '', /-allow-private-answers/);
  });

  test('what is for a subject, for that subject', () => {
    const event = { ...DENIED, subject: 'unit:build.service' };
    const build = { subject: event.subject, policies: ['build'] };
    assert.equal(allowanceOf(event, state(build))?.flags, undefined);
    assert.equal(
      allowanceOf(event, state({ ...build, policies: ['flags'] }))?.flags,
      '-name=www.example.com',
    );
    assert.match(allowanceOf(event, state())?.policy ?? '', /^subject: unit:build\.service$/m);
  });
});

describe('allowanceOf', () => {
  const ports: PortRange[] = parsePort('443/tcp');
  test('adds the port where the flags have ports', () => {
    const event = flow('198.51.100.7', [], 'tcp', { sport: 1, dport: 8443 });
    const flagRule = { action: 'allow', source: '-cidr=192.0.2.0/24', ports } as const;
    assert.equal(allowanceOf(event, state({ flagRule }))?.flags, '-cidr=198.51.100.7 -port=8443/tcp');
    assert.equal(allowanceOf(event, state())?.flags, '-cidr=198.51.100.7');
  });
  test('gives no rule against one that denies, but names it', () => {
    const allowance = allowanceOf(
      { ...DENIED, reason: 'deny-cidr', rule: '-deny-cidr=198.51.100.0/24' },
      state(),
    );
    assert.deepEqual([allowance?.flags, allowance?.policy], [undefined, undefined]);
    assert.match(allowance?.remark ?? '', /-deny-cidr=198\.51\.100\.0\/24/);
  });
  test('gives nothing to copy for what can not be read', () => {
    const allowance = allowanceOf(
      { ...DENIED, reason: 'ethertype', packet: { family: 'unread', etherType: 0x88cc } },
      state(),
    );
    assert.deepEqual([allowance?.flags, allowance?.policy], [undefined, undefined]);
    assert.ok(allowance?.remark);
  });
  test('puts no name into text to copy that a shell or YAML would take for more', () => {
    const names = ['$(reboot).example', 'a"b.example', 'x\n- evil'];
    const allowance = allowanceOf(flow('198.51.100.7', names, 'tcp', { sport: 1, dport: 443 }), state());
    assert.equal(allowance?.flags, '-cidr=198.51.100.7');
    for (const qname of names) {
      const lookup = allowanceOf({ ...LOOKUP, qname }, state());
      assert.deepEqual([lookup?.flags, lookup?.policy], [undefined, undefined]);
    }
  });
  test('has nothing in it that moves other text', async () => {
    const subject = 'container:a\u202eb';
    const event = flow('198.51.100.7', [], 'tcp', { sport: 1, dport: 443 });
    const { policy = '' } = allowanceOf({ ...event, subject }, state()) ?? {};
    assert.doesNotMatch(policy, /[^\n -~]/);
    const { parts } = await readPolicies([{ file: 'page.yaml', text: policy.replace('\\u202e', '-') }], {
      lenient: false,
    });
    assert.equal(parts.length, 1);
    const denied = { ...event, reason: 'deny-cidr', rule: 'a\u202eb', policy: 'c\u202ed' } as const;
    assert.doesNotMatch(allowanceOf(denied, state())?.remark ?? '', /\p{Cf}/u);
  });
  test('is silent about what passed, answers, and what is no attempt', () => {
    for (const event of [FLOW, { ...LOOKUP, verdict: 'allow', reason: 'learned' } as const, LIFECYCLE])
      assert.equal(allowanceOf(event, state()), undefined);
  });
});
