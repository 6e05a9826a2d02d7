import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { egress, errorsOf, policy, read } from './read-cilium.ts';

describe('hostile values', () => {
  const members = ['toCIDR', 'toCIDRSet', 'toEntities', 'toEndpoints', 'toFQDNs', 'toPorts', 'icmps'];
  const values = [
    '7',
    'true',
    'x',
    '{}',
    '{a: [b]}',
    '[7]',
    '[true]',
    '[[[]]]',
    '[null]',
    '[[null, {}]]',
    '~x',
    '.inf',
  ];
  for (const member of members) {
    for (const value of values) {
      test(`${member}: ${value} is an error, with its place`, async () => {
        const errors = await errorsOf(egress(`{${member}: ${value}}`));
        for (const line of errors.split('\n')) assert.match(line, /^p\.yaml:7:\d+: spec\.egress\[0\]\S* /u);
      });
    }
  }

  test('that are aliases stand for what they name', async () => {
    const { parts } = await read(
      policy(
        'endpointSelector: {}',
        'egress:',
        '- toCIDR: &nets [10.0.0.0/8]',
        '  toPorts: &web [{ports: [{port: "443"}]}]',
        '- {toCIDR: *nets, toPorts: *web}',
      ),
    );
    const [first, second] = parts.flatMap(({ rules }) => rules);
    assert.deepEqual({ ...first, source: '' }, { ...second, source: '' });
  });

  test('that are aliases of nothing are errors', async () => {
    assert.match(await errorsOf(egress('{toCIDR: *none}')), /^p\.yaml:7:14: .*none/u);
  });

  test('that are aliases of themselves end', async () => {
    const text = policy('endpointSelector: {}', 'egress: &all [{toEndpoints: *all}]');
    assert.match(await errorsOf(text), /^p\.yaml:6:/u);
  });

  test('in great number are read', async () => {
    const blocks = Array.from(
      { length: 130_000 },
      (_, index) => `10.${index >> 16}.${(index >> 8) & 255}.${index & 255}`,
    );
    const { parts } = await read(egress(`{toCIDR: [${blocks.join(', ')}]}`));
    assert.deepEqual(
      parts.map(({ rules }) => rules.length),
      [130_000],
    );
  });

  const MANY = 41;
  const rows: readonly (readonly [entry: string, error: string])[] = [
    [
      `{toPorts: [{ports: [${Array(MANY).fill('{port: "80"}').join(', ')}]}]}`,
      '24: spec.egress[0].toPorts[0].ports has 41 entries: at most 40 are legal',
    ],
    [
      `{icmps: [{fields: [${Array(MANY).fill('{type: 8}').join(', ')}]}]}`,
      '23: spec.egress[0].icmps[0].fields has 41 entries: at most 40 are legal',
    ],
  ];
  for (const [entry, error] of rows) {
    test(`more than Cilium takes: ${error}`, async () => {
      assert.equal(await errorsOf(egress(entry)), `p.yaml:7:${error}`);
    });
  }
});
