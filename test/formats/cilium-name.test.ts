import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { holdsName } from '../../src/policy/who.ts';
import { egress, errorsOf, read } from './read-cilium.ts';

type Key = 'matchName' | 'matchPattern';

async function isHeld(key: Key, text: string, name: string): Promise<boolean> {
  const { parts } = await read(egress(`toFQDNs: [{${key}: '${text}'}]`));
  const rules = parts.flatMap((part) => part.rules);
  assert.equal(rules.length, 1);
  return rules.some(({ who }) => holdsName(who, name));
}

/* The table of 1.19: layer3.rst ("DNS based"), pkg/policy/api/fqdn.go and pkg/fqdn/matchpattern. */
describe('matchPattern of Cilium 1.19', () => {
  const rows: readonly (readonly [pattern: string, name: string, isHeld: boolean])[] = [
    ['cilium.io', 'cilium.io', true],
    ['cilium.io', 'sub.cilium.io', false],
    ['cilium.io.', 'cilium.io', true],
    ['CILIUM.io', 'cilium.IO.', true],
    ['*.cilium.io', 'sub.cilium.io', true],
    ['*.cilium.io', 'cilium.io', false],
    ['*.cilium.io', 'sub.sub.cilium.io', false],
    ['*.cilium.io', 'google.com', false],
    ['*.cilium.io.', 'sub.cilium.io', true],
    ['*.cilium.io', 'SUB.Cilium.IO.', true],
    ['*.cilium.io', '_sip.cilium.io', true],
    ['*.cilium.io', 'xcilium.io', false],
    ['*cilium.io', 'cilium.io', true],
    ['*cilium.io', 'xcilium.io', true],
    ['*cilium.io', 'sub.cilium.io', false],
    ['**cilium.io', 'xcilium.io', true],
    ['**cilium.io', 'sub.cilium.io', false],
    ['sub*.cilium.io', 'sub.cilium.io', true],
    ['sub*.cilium.io', 'subdomain.cilium.io', true],
    ['sub*.cilium.io', 'www.cilium.io', false],
    ['sub*.cilium.io', 'sub.www.cilium.io', false],
    ['sub**.cilium.io', 'subdomain.cilium.io', true],
    ['sub**.cilium.io', 'sub.www.cilium.io', false],
    ['part*ial.com', 'partial.com', true],
    ['part*ial.com', 'part-extra-ial.com', true],
    ['part*ial.com', 'part.ial.com', false],
    ['special*service.api.cilium.io', 'special-region1-service.api.cilium.io', true],
    ['special*service.api.cilium.io', 'region1-service.api.cilium.io', false],
    ['*.ci*.io', 'anysub.cilium.io', true],
    ['*.ci*.io', 'anysub.ci.io', true],
    ['*.ci*.io', 'cilium.io', false],
    ['*.ci*.io', 'anysub.ci.lium.io', false],
    ['cilium.*', 'cilium.io', true],
    ['cilium.*', 'cilium.co.uk', false],
    ['*.*.cilium.io', 'a.b.cilium.io', true],
    ['*.*.cilium.io', 'b.cilium.io', false],
    ['*.*.cilium.io', 'a.b.c.cilium.io', false],
    ['_foobar._tcp.cilium.io', '_foobar._tcp.cilium.io', true],
    ['**.cilium.io', 'app.cilium.io', true],
    ['**.cilium.io', 'test.app.cilium.io', true],
    ['**.cilium.io', 'cilium.io', false],
    ['**.cilium.io', 'xcilium.io', false],
    ['**.cilium.io', 'cilium.io.evil.test', false],
    ['***.cilium.io', 'test.app.cilium.io', true],
    ['****.cilium.io', 'cilium.io', false],
    ['**.io', 'cilium.io', true],
    ['**.*.io', 'a.b.io', true],
    ['**.*.io', 'b.io', false],
    ['**.*.io', 'a.b.c.io', true],
    ['**.**.io', 'a.b.io', true],
    ['**.**.io', 'b.io', false],
    ['**.api*.io', 'a.b.api2.io', true],
    ['**.api*.io', 'api2.io', false],
    ['**.api**.io', 'a.api.b.io', false],
    ['*.**.io', 'a.b.io', true],
    ['*.**.io', 'a.b.c.io', false],
    ['_sub.**.io', '_sub.a.io', true],
    ['_sub.**.io', '_sub.a.b.io', false],
    ['cilium.**', 'cilium.io', true],
    ['cilium.**', 'cilium.co.uk', false],
    ['a.**.**.io', 'a.b.c.io', true],
    ['a.**.**.io', 'a.b.c.d.io', false],
    ...['*', '**', '***', '*.', '**.', '***.'].flatMap((all) => [
      [all, 'io', true] as const,
      [all, 'cilium.io', true] as const,
      [all, '_foobar._tcp.cilium.io', true] as const,
      [all, '', true] as const,
    ]),
  ];
  for (const [pattern, name, held] of rows) {
    test(`${pattern} ${held ? 'holds' : 'does not hold'} ${name || 'the root'}`, async () => {
      assert.equal(await isHeld('matchPattern', pattern, name), held);
    });
  }
});

describe('matchName', () => {
  const rows: readonly (readonly [text: string, name: string, isHeld: boolean])[] = [
    ['my-remote-service.com', 'my-remote-service.com', true],
    ['my-remote-service.com', 'www.my-remote-service.com', false],
    ['My-Remote-Service.com.', 'my-remote-service.COM', true],
    ['my-remote-service.com', 'my-remote-service.com.', true],
    ['_tcp.cilium.io', '_tcp.cilium.io', true],
    ['io', 'io', true],
    ['io', 'cilium.io', false],
  ];
  for (const [text, name, held] of rows) {
    test(`${text} ${held ? 'holds' : 'does not hold'} ${name}`, async () => {
      assert.equal(await isHeld('matchName', text, name), held);
    });
  }
});

describe('a name that is refused', () => {
  const at = 'p.yaml:7:15: spec.egress[0].toFQDNs[0]';
  const either = '"matchName" or "matchPattern" is legal';
  const charset = 'letters of ASCII, digits, "-", "_"';
  const rows: readonly (readonly [entry: string, error: string])[] = [
    ['{}', `${at} says nothing: ${either}`],
    ['{matchName: null}', `${at} says nothing: ${either}`],
    ['{matchName: a.io, matchPattern: "*.io"}', `${at} has both: one of ${either}`],
    [
      '{matchRegex: a}',
      `spec.egress[0].toFQDNs[0] has the unknown key "matchRegex": "matchName" or "matchPattern" is legal`,
    ],
    ['[]', `${at} is a list: a map with ${either}`],
    ['a.io', `${at} is "a.io": a map with ${either}`],
    ['{matchName: 7}', '.matchName is 7: a name such as www.example.com is legal'],
    ['{matchName: []}', '.matchName is a list: a name such as www.example.com is legal'],
    ['{matchName: ""}', `.matchName: name "": ${charset} and "." are legal`],
    ['{matchName: "*.io"}', `.matchName: name "*.io": ${charset} and "." are legal`],
    ['{matchName: "bücher.test"}', `.matchName: name "bücher.test": ${charset} and "." are legal`],
    ['{matchName: "a b"}', `.matchName: name "a b": ${charset} and "." are legal`],
    ['{matchName: "a..io"}', '.matchName: name "a..io" has an empty label'],
    ['{matchName: "."}', '.matchName: name "." is empty'],
    ['{matchName: 192.0.2.1}', '.matchName: name "192.0.2.1" is an address'],
    ['{matchPattern: ""}', `.matchPattern: pattern "": ${charset}, "." and "*" are legal`],
    ['{matchPattern: "[a].io"}', `.matchPattern: pattern "[a].io": ${charset}, "." and "*" are legal`],
    ['{matchPattern: "a..*"}', '.matchPattern: pattern "a..*" has an empty label'],
    ['{matchPattern: ".io"}', '.matchPattern: name ".io" begins with a dot'],
    [`{matchPattern: "${'a'.repeat(64)}.*"}`, 'has a label of 64 characters: 1 to 63 are legal'],
  ];
  for (const [entry, error] of rows) {
    test(entry, async () => {
      const errors = await errorsOf(egress(`toFQDNs: [${entry}]`));
      assert.ok(errors.includes(error), errors);
      assert.match(errors, /^p\.yaml:7:\d+: spec\.egress\[0\]\.toFQDNs\[0\]/u);
    });
  }
});
