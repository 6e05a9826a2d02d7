import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { PolicyPart } from '../../src/formats/part.ts';
import { holdsName } from '../../src/policy/who.ts';
import { egress, errorsOf, policy, read } from './read-cilium.ts';

const KUBE_DNS = 'toEndpoints: [{matchLabels: {"k8s:k8s-app": kube-dns}}]';
const ports = (list: string, names: string) => `toPorts: [{ports: [${list}], rules: {dns: [${names}]}}]`;
const at53 = (names: string) => ports('{port: "53", protocol: ANY}', names);

/** `lookup` when a rule for lookups holds the name, `allow` when one for addresses does. */
function mentions(parts: readonly PolicyPart[], name: string): string[] {
  const rules = parts.flatMap((part) => part.rules);
  return rules.filter(({ who }) => holdsName(who, name)).map(({ action, source }) => `${action} ${source}`);
}

const modes = (parts: readonly PolicyPart[]) => parts.map(({ dns }) => dns ?? 'says nothing');

describe('rules.dns lists', () => {
  const named = `{${KUBE_DNS}, ${at53('{matchName: a.test}, {matchPattern: "*.b.test"}, {matchPattern: "**.c.test"}')}}`;
  const rows: readonly (readonly [name: string, mentions: readonly string[]])[] = [
    ['a.test', ['lookup n egress[0]']],
    ['x.a.test', []],
    ['x.b.test', ['lookup n egress[0]']],
    ['x.x.b.test', []],
    ['x.x.c.test', ['lookup n egress[0]']],
    ['other.test', []],
  ];
  for (const [name, expected] of rows) {
    test(`${name}: ${expected.join() || 'nothing'}`, async () => {
      const { parts } = await read(egress(named));
      assert.deepEqual(mentions(parts, name), expected);
      assert.deepEqual(modes(parts), ['strict']);
      assert.ok(parts.every(({ rules }) => rules.every((rule) => rule.ports.length === 0)));
    });
  }

  test('both names of an entry that has two', async () => {
    const { parts } = await read(
      egress(`{${KUBE_DNS}, ${at53('{matchName: a.test, matchPattern: "b.*"}')}}`),
    );
    assert.deepEqual(mentions(parts, 'a.test'), ['lookup n egress[0]']);
    assert.deepEqual(mentions(parts, 'b.test'), ['lookup n egress[0]']);
  });
});

describe('rules.dns makes lookups', () => {
  const names = at53('{matchName: a.test}');
  const rows: readonly (readonly [entry: string, mode: string])[] = [
    [`{${KUBE_DNS}, ${names}}`, 'strict'],
    [`{toEndpoints: [{}], ${names}}`, 'strict'],
    [`{${names}}`, 'strict'],
    [`{toEntities: [world], ${names}}`, 'strict'],
    [`{toEntities: [host], ${names}}`, 'strict'],
    [`{toEntities: [cluster, kube-apiserver], ${names}}`, 'strict'],
    [`{toEntities: [none], ${names}}`, 'says nothing'],
    [`{toEndpoints: [], ${names}}`, 'says nothing'],
    [
      `{${KUBE_DNS}, ${ports('{port: "53", protocol: UDP}, {port: "53", protocol: TCP}', '{matchName: a.test}')}}`,
      'strict',
    ],
    [`{${KUBE_DNS}, ${ports('{port: 53}', '{matchName: a.test}')}}`, 'strict'],
    ...['*', '**', '*.', '***'].map(
      (all) => [`{${KUBE_DNS}, ${at53(`{matchPattern: "${all}"}`)}}`, 'open'] as const,
    ),
    [`{${KUBE_DNS}, ${at53('{matchName: a.test}, {matchPattern: "*"}')}}`, 'open'],
    ['{toFQDNs: [{matchName: a.test}]}', 'says nothing'],
    ['{}', 'says nothing'],
  ];
  for (const [entry, mode] of rows) {
    test(`${mode}: ${entry}`, async () => {
      assert.deepEqual(modes((await read(egress(entry))).parts), [mode]);
    });
  }

  test('open when one of several rules lists every name, as Cilium adds up', async () => {
    const { parts } = await read(
      egress(`{${KUBE_DNS}, ${names}}`, `{${KUBE_DNS}, ${at53('{matchPattern: "*"}')}}`),
    );
    assert.deepEqual(modes(parts), ['open']);
  });

  test('of every name, also where another file makes DNS strict', async () => {
    const { parts } = await read(egress(`{${KUBE_DNS}, ${at53('{matchPattern: "*"}')}}`));
    assert.deepEqual(mentions(parts, 'any.thing.test'), ['lookup n egress[0]']);
  });

  test('of no mode where nothing is refused by default', async () => {
    const entry = `- {${KUBE_DNS}, ${names}}`;
    const { parts } = await read(
      policy('endpointSelector: {}', 'enableDefaultDeny: {egress: false}', 'egress:', entry),
    );
    assert.deepEqual(modes(parts), ['says nothing']);
    assert.deepEqual(mentions(parts, 'a.test'), ['lookup n egress[0]']);
  });

  test('beside names whose addresses may be reached', async () => {
    const { parts } = await read(egress(`{${KUBE_DNS}, ${names}}`, '{toFQDNs: [{matchName: b.test}]}'));
    assert.deepEqual(mentions(parts, 'b.test'), ['allow n egress[1]']);
    assert.deepEqual(modes(parts), ['strict']);
  });

  test('of one entry, the others being as ever', async () => {
    const entry = `{toPorts: [{ports: [{port: "53"}], rules: {dns: [{matchName: a.test}]}}, {ports: [{port: "443"}]}]}`;
    const { parts } = await read(egress(entry));
    const rules = parts.flatMap((part) => part.rules);
    assert.deepEqual(
      rules.map(({ who, action, ports }) => [who.kind, action, ports.map(({ low }) => low)]),
      [
        ['any', 'allow', [443, 443, 443]],
        ['exact', 'lookup', []],
      ],
    );
  });

  test('and says so, once for a rule', async () => {
    const two = `toPorts: [${['a', 'b'].map((name) => `{ports: [{port: "53"}], rules: {dns: [{matchName: ${name}.test}]}}`).join(', ')}]`;
    const { parts, remarks } = await read(egress(`{${KUBE_DNS}, ${two}}`));
    assert.deepEqual(remarks, [
      'p.yaml:7:5: spec.egress[0] is taken as lookups at the trusted resolvers, whatever it selects',
    ]);
    assert.deepEqual(mentions(parts, 'b.test'), ['lookup n egress[0]']);
  });
});

describe('rules.dns that can not be held', () => {
  const elsewhere =
    'is held at the trusted resolvers only, and the rule lists addresses or names: toEndpoints is legal';
  const other =
    'is held at port 53 of the trusted resolvers only, so nothing passes by spec.egress[0].toPorts[0]';
  const dns = 'spec.egress[0].toPorts[0].rules.dns';
  const name = '{matchName: a.test}';
  const rows: readonly (readonly [entry: string, what: string])[] = [
    [`{toCIDR: [192.0.2.53], ${at53(name)}}`, `${dns} ${elsewhere}`],
    [`{toCIDRSet: [{cidr: 192.0.2.0/24}], ${at53(name)}}`, `${dns} ${elsewhere}`],
    [`{toFQDNs: [{matchName: ns.test}], ${at53(name)}}`, `${dns} ${elsewhere}`],
    [`{toCIDR: [0.0.0.0/0], ${at53('{matchPattern: "*"}')}}`, `${dns} ${elsewhere}`],
    [`{toEntities: [world], ${ports('{port: "5353"}', name)}}`, `${dns} ${other}`],
    [`{toEntities: [world], ${ports('{port: "53"}, {port: "54"}', name)}}`, `${dns} ${other}`],
    [`{toEntities: [world], ${ports('{port: "53", endPort: 54}', name)}}`, `${dns} ${other}`],
    [`{toEntities: [world], ${ports('{port: "0"}', name)}}`, `${dns} ${other}`],
  ];
  for (const [entry, what] of rows) {
    test(`is an error: ${entry}`, async () => {
      const errors = await errorsOf(egress(entry));
      assert.match(errors, /^p\.yaml:7:\d+: [^\n]*$/u);
      assert.ok(errors.endsWith(`: ${what}; -lenient leaves it out`), errors);
    });

    test(`lets nothing pass when lenient: ${entry}`, async () => {
      const { parts, remarks } = await read(egress(entry), { lenient: true });
      assert.deepEqual(
        parts.map(({ rules, dns }) => [rules, dns]),
        [[[], undefined]],
      );
      assert.ok(
        remarks.some((remark) => remark.endsWith(`: ${what}: left out`)),
        remarks.join('\n'),
      );
    });
  }

  test('by the name of a port lets nothing be looked up when lenient', async () => {
    const entry = `{${KUBE_DNS}, ${ports('{port: dns}', name)}}`;
    const { parts } = await read(egress(entry), { lenient: true });
    assert.deepEqual(
      parts.map(({ rules, dns }) => [rules, dns]),
      [[[], undefined]],
    );
  });

  for (const [beside, member] of [
    ['rules: {dns: [{matchName: a.test}], http: [{}]}', 'rules.http'],
    ['rules: {dns: [{matchName: a.test}]}, serverNames: [a.test]', 'serverNames'],
  ]) {
    test(`beside ${member} lets nothing be looked up when lenient`, async () => {
      const entry = `{${KUBE_DNS}, toPorts: [{ports: [{port: "53"}], ${beside}}]}`;
      const { parts, remarks } = await read(egress(entry), { lenient: true });
      assert.deepEqual(
        parts.map(({ rules, dns }) => [rules, dns]),
        [[[], undefined]],
      );
      assert.ok(remarks.some((remark) => remark.includes(`toPorts[0].${member} is not enforced`)));
    });
  }

  const every = [`{${KUBE_DNS}, ${at53(name)}}`, '{toFQDNs: [{matchPattern: "*"}]}'];
  const what = 'spec lists names in rules.dns, and every name in toFQDNs, which then may be looked up';

  test('beside every name in toFQDNs is an error', async () => {
    assert.equal(await errorsOf(egress(...every)), `p.yaml:5:3: ${what}; -lenient leaves it out`);
  });

  test('beside every name in toFQDNs leaves that out when lenient', async () => {
    const { parts } = await read(egress(...every), { lenient: true });
    assert.deepEqual(mentions(parts, 'a.test'), ['lookup n egress[0]']);
    assert.deepEqual(mentions(parts, 'b.test'), []);
    assert.deepEqual(modes(parts), ['strict']);
  });
});
