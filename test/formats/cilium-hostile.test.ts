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
});
