import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { atMarks, errorsOf, read } from './kube-reading.ts';

/* A § in a text of a policy stands before the place that the error names. */
const L7EGG = '{apiVersion: l7egg/v1, kind: EgressPolicy, rules: [{ports: [PORT]}]}';
const INBOUND = '{apiVersion: l7egg/v1, kind: EgressPolicy, inbound: [PORT], rules: []}';
const kube = (port: string): string =>
  `{apiVersion: networking.k8s.io/v1, kind: NetworkPolicy, spec: {podSelector: {}, policyTypes: [Egress], egress: [{ports: [${port}]}]}}`;
const cilium = (port: string): string =>
  `{apiVersion: cilium.io/v2, kind: CiliumNetworkPolicy, spec: {endpointSelector: {}, egress: [{toPorts: [{ports: [${port}]}]}]}}`;
const EGG =
  '{apiVersion: maciekleks.dev/v1alpha1, kind: ClusterEgg, spec: {egress: {cidrs: [192.0.2.1], ports: [{port: PORT}]}}}';
const SERVICE =
  '{apiVersion: egress.monzo.com/v1, kind: ExternalService, spec: {dnsName: a.test, ports: [{port: PORT}]}}';

/** Where a port stands in a file, and how errors call it. */
const PLACES: readonly (readonly [path: string, text: string])[] = [
  ['rules[0].ports[0]', L7EGG],
  ['inbound[0]', INBOUND],
  ['spec.egress[0].ports[0].port', kube('{port: PORT}')],
  ['spec.egress[0].ports[0].endPort', kube('{port: 1, endPort: PORT}')],
  ['spec.egress[0].toPorts[0].ports[0].port', cilium('{port: PORT}')],
  ['spec.egress[0].toPorts[0].ports[0].endPort', cilium('{port: "1", endPort: PORT}')],
  ['spec.egress.ports[0].port', EGG],
  ['spec.ports[0].port', SERVICE],
];

describe('a number of a port that is not plain decimal is refused:', () => {
  const rows: readonly (readonly [number: string, head?: string])[] = [
    ['010'],
    ['+443'],
    ['1e3'],
    ['0x1bb'],
    ['0o17'],
    ['443.0'],
    ['010', '%YAML 1.1\n---\n'],
    ['7:30', '%YAML 1.1\n---\n'],
    ['1_0', '%YAML 1.1\n---\n'],
    ['0b1', '%YAML 1.1\n---\n'],
  ];
  for (const [path, text] of PLACES) {
    for (const [number, head = ''] of rows) {
      test(`${head && 'YAML 1.1, '}${path}: ${number}`, async () => {
        const marked = head + text.replace('PORT', `§${number}`);
        const what = `${path} is ${number}: a plain decimal number is legal`;
        assert.deepEqual(await errorsOf(marked), atMarks(marked, what));
      });
    }
  }
});

describe('a plain decimal number is taken, in YAML and in JSON:', () => {
  for (const [path, text] of PLACES) {
    for (const number of ['1', '443', '65535']) {
      test(`${path}: ${number}`, async () => {
        await read(text.replace('PORT', number));
        await read(`%YAML 1.1\n---\n${text.replace('PORT', number)}`);
      });
    }
  }

  test('JSON that a program wrote', async () => {
    const { parts } = await read(
      JSON.stringify(
        { apiVersion: 'l7egg/v1', kind: 'EgressPolicy', rules: [{ ports: [443, '80/tcp'] }] },
        null,
        2,
      ),
    );
    assert.deepEqual(
      parts[0]?.rules[0]?.ports.map(({ low }) => low),
      [80, 443, 443],
    );
  });
});
