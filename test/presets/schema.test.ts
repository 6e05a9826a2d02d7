import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { Ajv } from 'ajv';
import { parse } from 'yaml';
import { errorsOf } from '../formats/kube-reading.ts';
import { findCheckout } from '../lab/checkout.ts';

const FOLDER = join(findCheckout(), 'src', 'presets');
const isValid = new Ajv({ strict: true, strictRequired: false }).compile(
  JSON.parse(readFileSync(join(FOLDER, 'l7egg-v1.schema.json'), 'utf8')),
);

const HEAD = 'apiVersion: l7egg/v1\nkind: EgressPolicy\n';
const rule = (text: string): string => `${HEAD}rules: [${text}]`;
const settings = (text: string): string => `${HEAD}${text}\nrules: []`;

describe('the schema and the reader take', () => {
  const texts = [
    rule(''),
    rule('{}'),
    rule('{}, {}'),
    rule('{name: web, action: allow, names: [], suffixes: [], cidrs: [], ports: []}'),
    rule('{names: [a.test, "*.a.test", "**.a.test", "a*b.test", _x.a.test, bücher.test, A.test., no]}'),
    rule('{suffixes: [.a.test, ome.com, com]}'),
    rule('{cidrs: [192.0.2.1, 10.0.0.0/8, "2001:db8::/32", "::1", "::ffff:192.0.2.1"]}'),
    rule(
      '{cidrs: [{cidr: 10.0.0.0/8}, {cidr: 10.0.0.0/8, except: []}, {cidr: 10.0.0.0/8, except: [10.1.0.0/16]}]}',
    ),
    rule('{ports: [443, "443", 443/tcp, 8000-8100/udp, tcp, udp, sctp]}'),
    rule('{ports: [icmp, icmpv6, "icmp:8", "icmpv6:128-129", "proto:47", 65535]}'),
    rule('{action: deny}'),
    rule('{action: deny, names: [a.test]}'),
    rule('{action: deny, cidrs: [10.0.0.0/8], ports: [25]}'),
    rule('{action: deny, names: [], cidrs: [10.0.0.0/8], ports: [25]}'),
    rule('{action: audit, names: [a.test], ports: [25]}'),
    settings('name: web'),
    ...[
      'host',
      'cgroup:/a',
      'cgroup:unit:a',
      'cgroup:pid:7',
      'unit:a.service',
      'unit:a',
      'pid:7',
      'container:web',
      'label:a=b',
      'label:a=',
    ].map((subject) => settings(`subject: ${subject}`)),
    settings('dns: open'),
    settings('dns: strict'),
    settings('allowPrivateAnswers: true'),
    settings('allowPrivateAnswers: false'),
    settings('inbound: []'),
    settings('inbound: [22/tcp]'),
    settings('shaping: {rate: 1mbit}'),
    settings('shaping: {rate: 500KBIT, ceil: 1.5Mbit}'),
  ];
  for (const text of texts) {
    test(text.slice(HEAD.length), async () => {
      assert.deepEqual(await errorsOf(text), []);
      assert.ok(isValid(parse(text)), JSON.stringify(isValid.errors));
    });
  }
});

describe('the schema and the reader refuse', () => {
  const texts = [
    '[]',
    'hello',
    HEAD,
    'kind: EgressPolicy\nrules: []',
    'apiVersion: l7egg/v1\nrules: []',
    'apiVersion: l7egg/v2\nkind: EgressPolicy\nrules: []',
    'apiVersion: l7egg/v1\nkind: Policy\nrules: []',
    ...['', '{}', 'all', '7'].map((rules) => `${HEAD}rules: ${rules}`),
    ...['a.test', 'null', '[]', '7', '{port: 443}', '{Names: []}'].map(rule),
    ...['', '7', '""', '" "', '"a\\nb"', '[a]'].map((name) => rule(`{name: ${name}}`)),
    ...['', 'alow', 'Allow', 'lookup', 'true'].map((action) => rule(`{action: ${action}}`)),
    ...[
      '',
      'a.test',
      '{}',
      '[7]',
      '[1e3]',
      '[true]',
      '[null]',
      '[[a.test]]',
      '[""]',
      '[a..b]',
      '[.a.test]',
      '["a b"]',
      '["http://a.test"]',
      '["a.test:443"]',
      '["*.*/x"]',
    ].map((names) => rule(`{names: ${names}}`)),
    ...['', '.a.test', '[7]', '["*.a.test"]', '["."]', '[""]', '[a..b]'].map((suffixes) =>
      rule(`{suffixes: ${suffixes}}`),
    ),
    ...[
      '',
      '10.0.0.0/8',
      '[7]',
      '[a.test]',
      '[10.0.0.0/]',
      '[10.0.0.0/1234]',
      '[""]',
      '[{}]',
      '[{except: []}]',
      '[{cidr: 10.0.0.0/8, but: []}]',
      '[{cidr: 10.0.0.0/8, except: 10.1.0.0/16}]',
      '[{cidr: 10.0.0.0/8, except: [x]}]',
      '[[10.0.0.0/8]]',
    ].map((cidrs) => rule(`{cidrs: ${cidrs}}`)),
    ...[
      '',
      '443',
      '{}',
      '[0]',
      '[65536]',
      '[-1]',
      '[1.5]',
      '["0"]',
      '["017"]',
      '[tcp/443]',
      '[443/quic]',
      '[443/icmp]',
      '[any]',
      '[""]',
      '["icmp:"]',
      '["proto:x"]',
      '[true]',
      '[null]',
    ].map((ports) => rule(`{ports: ${ports}}`)),
    rule('{action: deny, names: [a.test], ports: [25]}'),
    rule('{action: deny, suffixes: [a.test], ports: []}'),
    ...['metadata: {}', 'spec: {}', 'rule: []', 'name:', 'name: 7', 'name: ""'].map(settings),
    ...[
      '',
      '7',
      'all',
      'Host',
      'cgroup:a',
      '"unit:"',
      'pid:0',
      'pid:x',
      '"container:"',
      'label:a',
      '"label:=b"',
      '[host]',
    ].map((subject) => settings(`subject: ${subject}`)),
    ...['', 'Open', 'true', 'none'].map((dns) => settings(`dns: ${dns}`)),
    ...['', 'yes', '1', '"true"'].map((answer) => settings(`allowPrivateAnswers: ${answer}`)),
    ...['', '22', '[0]', 'all'].map((inbound) => settings(`inbound: ${inbound}`)),
    ...[
      '',
      '1mbit',
      '{}',
      '{ceil: 1mbit}',
      '{rate: 1}',
      '{rate: 1mb}',
      '{rate: 1 mbit}',
      '{rate: -1mbit}',
      '{rate: 1mbit, burst: 1}',
      '{rate: 1mbit, ceil: 7}',
    ].map((shaping) => settings(`shaping: ${shaping}`)),
  ];
  for (const text of texts) {
    test(text.replace(HEAD, ''), async () => {
      assert.notDeepEqual(await errorsOf(text), []);
      assert.ok(!isValid(parse(text)));
    });
  }
});

/* What takes arithmetic, other values or lists of the world: a schema passes it, the reader does not. */
describe('only the reader refuses', () => {
  const rows: readonly (readonly [why: string, text: string])[] = [
    ['a number past the last port', rule('{ports: [70000-70001]}')],
    ['ports that go down', rule('{ports: [9-1]}')],
    ['a type past the last', rule('{ports: ["icmp:256"]}')],
    [
      'more ranges of ports than a rule may have',
      rule(`{ports: [${Array.from({ length: 9 }, (_, index) => 10 * index + 1).join(', ')}]}`),
    ],
    ['an address as name', rule('{names: [192.0.2.1]}')],
    ['two stars in the middle', rule('{names: ["a.**.test"]}')],
    ['a sign that no name has', rule('{names: ["a,b.test"]}')],
    ['a label of 64 characters', rule(`{names: [${'a'.repeat(64)}.test]}`)],
    ['a name of 254 characters', rule(`{names: [${'a.'.repeat(126)}aa]}`)],
    ['a prefix longer than its address', rule('{cidrs: [10.0.0.0/33]}')],
    ['numbers that are no address', rule('{cidrs: [10.0.0.256]}')],
    ['an exception outside', rule('{cidrs: [{cidr: 10.0.0.0/8, except: [11.0.0.0/16]}]}')],
    ['a path that goes up', settings('subject: cgroup:/a/../b')],
    ['a unit with a slash', settings('subject: unit:a/b')],
    ['a container with a slash', settings('subject: container:a/b')],
    ['a ceil below the rate', settings('shaping: {rate: 2mbit, ceil: 1mbit}')],
    ['a rate past the fastest', settings('shaping: {rate: 999999999999gbit}')],
  ];
  for (const [why, text] of rows) {
    test(why, async () => {
      assert.notDeepEqual(await errorsOf(text), []);
      assert.ok(isValid(parse(text)), JSON.stringify(isValid.errors));
    });
  }
});

describe('the schema takes the preset', () => {
  for (const file of readdirSync(FOLDER).filter((each) => each.endsWith('.yaml'))) {
    test(file, () =>
      assert.ok(isValid(parse(readFileSync(join(FOLDER, file), 'utf8'))), JSON.stringify(isValid.errors)),
    );
  }
});
