import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { parseJson } from '../../src/flow/parse-json.ts';
import { renderJson } from '../../src/flow/render-json.ts';
import { FLOW, LIFECYCLE, LOOKUP, POLICY, SHAPES } from './events.ts';

describe('parseJson reads what renderJson wrote:', () => {
  for (const [title, event] of SHAPES) {
    test(title, () => assert.deepEqual(parseJson(renderJson(event)), event));
  }
});

/** The line of an event with other keys; `undefined` takes one away. */
function changed(event: Parameters<typeof renderJson>[0], keys: object): string {
  return JSON.stringify({ ...JSON.parse(renderJson(event)), ...keys });
}

test('parseJson leaves out keys that it does not know', () => {
  const line = changed(FLOW, { weight: 7, leases: [{ name: 'a', ends: '2026-01-01T00:00:00.000Z', by: 1 }] });
  const { leases, ...rest } = FLOW;
  assert.deepEqual(parseJson(line), {
    ...rest,
    leases: [{ name: 'a', endsMs: Date.UTC(2026, 0, 1) }],
  });
  assert.equal(leases.length, 1);
});

test('parseJson takes nothing from prototypes', () => {
  const line = renderJson(LIFECYCLE).replace('{', '{"__proto__":{"iface":"evil0","polluted":1},');
  assert.deepEqual(parseJson(line), LIFECYCLE);
  assert.throws(() => parseJson('{"__proto__":{"seq":1,"kind":"lifecycle"}}'), SyntaxError);
  assert.equal('polluted' in {}, false);
});

describe('parseJson refuses, and names the key:', () => {
  const rows: readonly (readonly [line: string, message: RegExp])[] = [
    ['', /JSON/],
    ['{', /JSON/],
    ['[]', /an event is an object/],
    ['null', /an event is an object/],
    ['7', /an event is an object/],
    ['{}', /"seq" of an event is undefined, not a number/],
    [changed(FLOW, { seq: '7' }), /"seq" of an event is "7", not a number/],
    [changed(FLOW, { ts: 'yesterday' }), /"ts" of an event is "yesterday", not a time/],
    [changed(FLOW, { ts: 7 }), /"ts" of an event is 7, not a text/],
    [changed(FLOW, { kind: 'packet' }), /"kind" of an event is "packet", not one of flow, dns/],
    [changed(FLOW, { verdict: 'drop' }), /"verdict" of an event is "drop", not one of allow, deny/],
    [changed(FLOW, { reason: 'because' }), /"reason" of an event is "because", not one of none/],
    [changed(FLOW, { family: 'ipv5' }), /"family" of an event is "ipv5"/],
    [changed(FLOW, { names: 'a.test' }), /"names" of an event is "a.test", not a list of texts/],
    [changed(FLOW, { names: [7] }), /"names" of an event is \[7\], not a list of texts/],
    [changed(FLOW, { leases: {} }), /"leases" of an event is \{\}, not a list/],
    [changed(FLOW, { leases: [7] }), /an event is an object/],
    [changed(FLOW, { uid: undefined }), /"uid" of an event is undefined, not a number/],
    [changed(FLOW, { dport: '443' }), /"dport" of an event is "443", not a number/],
    [changed(FLOW, { bytes: 1 }), /"packets" of an event is undefined, not a number/],
    [changed(FLOW, { count: null }), /"count" of an event is null, not a number/],
    [changed(LOOKUP, { unparsed: 'odd' }), /"unparsed" of an event is "odd", not one of split/],
    [changed(LOOKUP, { addresses: undefined }), /"addresses" of an event is undefined/],
    [changed(POLICY, { action: 'stopping' }), /"action" of an event is "stopping", not one of in-force/],
    [changed(LIFECYCLE, { message: 7 }), /"message" of an event is 7, not a text/],
  ];
  for (const [line, message] of rows) {
    test(`${message}`, () => {
      assert.throws(
        () => parseJson(line),
        (thrown) => thrown instanceof SyntaxError && message.test(thrown.message),
      );
    });
  }
});
