import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, test } from 'node:test';
import { LIFECYCLE_ACTIONS, POLICY_ACTIONS } from '../../src/flow/event.ts';
import { REASONS, UNPARSED, VERDICTS } from '../../src/flow/reason.ts';
import { renderJson } from '../../src/flow/render-json.ts';
import { checkEvent, SCHEMA_PATH } from './event-schema.ts';
import { FLOW, LIFECYCLE, LOOKUP, POLICY, SHAPES } from './events.ts';

const { definitions } = JSON.parse(readFileSync(SCHEMA_PATH, 'utf8'));

describe('the schema of events has the words of the code', () => {
  const rows: readonly (readonly [title: string, listed: unknown, words: readonly unknown[]])[] = [
    ['verdict', definitions.flow.properties.verdict.enum, VERDICTS.filter((word) => word !== undefined)],
    ['reason', definitions.flow.properties.reason.enum, REASONS],
    ['unparsed', definitions.dns.properties.unparsed.enum, UNPARSED.filter((word) => word !== undefined)],
    ['action of policy', definitions.policy.properties.action.enum, POLICY_ACTIONS],
    ['action of lifecycle', definitions.lifecycle.properties.action.enum, LIFECYCLE_ACTIONS],
  ];
  for (const [title, listed, words] of rows) test(title, () => assert.deepEqual(listed, words));

  test('and says of every key what it means', () => {
    for (const kind of Object.values<{ properties?: object }>(definitions)) {
      for (const [key, value] of Object.entries<Record<string, unknown>>({ ...kind.properties })) {
        const isSaid =
          typeof value.description === 'string' || `${value.$ref}`.endsWith(`/properties/${key}`);
        assert.ok(isSaid, key);
      }
    }
  });
});

describe('the schema of events takes', () => {
  for (const [title, event] of SHAPES) {
    test(title, () => checkEvent(JSON.parse(renderJson(event))));
  }
});

/** The line of an event with other keys; `undefined` takes one away. */
function changed(event: Parameters<typeof renderJson>[0], keys: object): unknown {
  return JSON.parse(JSON.stringify({ ...JSON.parse(renderJson(event)), ...keys }));
}

describe('the schema of events refuses', () => {
  const rows: readonly (readonly [title: string, line: unknown])[] = [
    ['a list', []],
    ['a text', 'flow'],
    ['no kind', changed(FLOW, { kind: undefined })],
    ['another kind', changed(FLOW, { kind: 'packet' })],
    ...[FLOW, LOOKUP, POLICY, LIFECYCLE].flatMap((event): [string, unknown][] => [
      [`another key of ${event.kind}`, changed(event, { icmpType: 8 })],
      [`no seq of ${event.kind}`, changed(event, { seq: undefined })],
      [`a seq of 0 of ${event.kind}`, changed(event, { seq: 0 })],
      [`a seq as text of ${event.kind}`, changed(event, { seq: '7' })],
      [`no time of ${event.kind}`, changed(event, { ts: undefined })],
      [`a time as number of ${event.kind}`, changed(event, { ts: 7 })],
      [`a time in another zone of ${event.kind}`, changed(event, { ts: '2026-01-01T00:00:00.000+01:00' })],
      [`a time that is none of ${event.kind}`, changed(event, { ts: '2026-13-01T00:00:00.000Z' })],
      [`no loss of ${event.kind}`, changed(event, { lost: undefined })],
      [`a loss below 0 of ${event.kind}`, changed(event, { lost: -1 })],
    ]),
    ...[FLOW, LOOKUP].flatMap((event): [string, unknown][] => [
      [`a verdict in capitals of ${event.kind}`, changed(event, { verdict: 'Allow' })],
      [`another verdict of ${event.kind}`, changed(event, { verdict: 'drop' })],
      [`another reason of ${event.kind}`, changed(event, { reason: 'because' })],
      [`an empty rule of ${event.kind}`, changed(event, { rule: '' })],
      [`no policy of ${event.kind}`, changed(event, { policy: undefined })],
      [`no subject of ${event.kind}`, changed(event, { subject: undefined })],
      [`a name as address of ${event.kind}`, changed(event, { dst: 'a.test' })],
      [`an address with its port of ${event.kind}`, changed(event, { dst: '192.0.2.1:443' })],
      [`an address in brackets of ${event.kind}`, changed(event, { dst: '[2001:db8::1]' })],
      [`an address with a zone of ${event.kind}`, changed(event, { dst: 'fe80::1%eth0' })],
      [`a port as text of ${event.kind}`, changed(event, { dport: '443' })],
      [`a port past the last of ${event.kind}`, changed(event, { dport: 65_536 })],
      [`one port of two of ${event.kind}`, changed(event, { sport: undefined })],
      [`a family as number of ${event.kind}`, changed(event, { family: 4 })],
      [`a packet without destination of ${event.kind}`, changed(event, { dst: undefined })],
      [`an ethertype of IP of ${event.kind}`, changed(event, { ethertype: 2048 })],
      [`addresses of what was not read of ${event.kind}`, changed(event, { family: 'unread', ethertype: 1 })],
      [`a protocol as number of ${event.kind}`, changed(event, { proto: 6 })],
      [`a protocol in capitals of ${event.kind}`, changed(event, { proto: 'TCP' })],
      [`half a process of ${event.kind}`, changed(event, { uid: undefined })],
      [
        `a program of nobody of ${event.kind}`,
        changed(event, { pid: undefined, uid: undefined, comm: undefined, exe: '/a' }),
      ],
      [`no count of ${event.kind}`, changed(event, { count: undefined })],
      [`a count of 0 of ${event.kind}`, changed(event, { count: 0 })],
      [`part of a millisecond of ${event.kind}`, changed(event, { window_ms: 0.5 })],
      [`null of ${event.kind}`, changed(event, { rule: null })],
    ]),
    ['names as text', changed(FLOW, { names: 'a.test' })],
    ['a lease without end', changed(FLOW, { leases: [{ name: 'a.test' }] })],
    ['bytes without packets', changed(FLOW, { reason: 'ended', bytes: 1 })],
    ['bytes of a flow that goes on', changed(FLOW, { bytes: 1, packets: 1 })],
    ['bytes in without bytes', changed(FLOW, { reason: 'ended', bytes_in: 1, packets_in: 1 })],
    ['a type without name', changed(LOOKUP, { qname: undefined })],
    ['a type in capitals', changed(LOOKUP, { qtype: 'A' })],
    ['a response code as number', changed(LOOKUP, { rcode: 3 })],
    ['another word for what was not parsed', changed(LOOKUP, { unparsed: 'odd' })],
    ['a name as answer', changed(LOOKUP, { addresses: ['a.test'] })],
    ['names of a lookup', changed(LOOKUP, { names: [] })],
    ['a name of a flow', changed(FLOW, { qname: 'a.test' })],
    ['an action of another kind', changed(POLICY, { action: 'stopping' })],
    ['an action that is none', changed(LIFECYCLE, { action: 'dancing' })],
    ['a verdict of the enforcer', changed(LIFECYCLE, { verdict: 'allow' })],
  ];
  for (const [title, line] of rows) {
    test(title, () => assert.throws(() => checkEvent(line), /its schema says/));
  }
});
