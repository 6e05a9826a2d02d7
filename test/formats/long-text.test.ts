import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { errorsOf, read } from './kube-reading.ts';

const LONG = 'a'.repeat(5_000_000);
const SOON_MS = 60_000;
/** Of a line; a sentence is cut at 1000. */
const MAX_LINE = 1_100;
const NAMED = 'is not legal: 1 to 253 characters of one line are';

const kube = (metadata: string, spec = '{podSelector: {}, policyTypes: [Egress]}'): string =>
  `apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: ${metadata}\nspec: ${spec}`;
const cilium = (metadata: string): string =>
  `apiVersion: cilium.io/v2\nkind: CiliumNetworkPolicy\nmetadata: ${metadata}\nspec: {endpointSelector: {}, egress: [{}]}`;
const egg = (egress: string): string =>
  `apiVersion: maciekleks.dev/v1alpha1\nkind: ClusterEgg\nspec: {programType: tc, egress: ${egress}}`;
const l7egg = (line: string): string => `apiVersion: l7egg/v1\nkind: EgressPolicy\n${line}\nrules: []`;

describe('a text of megabytes is refused in a short line:', () => {
  const rows: readonly (readonly [title: string, text: string, end: string])[] = [
    ['the name of a NetworkPolicy', kube(`{name: ${LONG}}`), NAMED],
    ['the name of a CiliumNetworkPolicy', cilium(`{name: ${LONG}}`), NAMED],
    ['a namespace', kube(`{name: n, namespace: ${LONG}}`), NAMED],
    ['an unknown key', kube('{}', `{podSelector: {}, ${LONG}: 1}`), '"ingress" or "egress" is legal'],
    ['an interface', egg(`{interfaceName: ${LONG}}`), 'at most 15 are legal'],
    ['our name', l7egg(`name: ${LONG}`), '1 to 200 characters of one line are'],
    ['a cgroup', l7egg(`subject: cgroup:/${LONG}`), 'at most 4095 are legal'],
    ['a cgroup of slashes', l7egg(`subject: cgroup:${'/'.repeat(5_000_000)}a`), 'at most 4095 are legal'],
    ['a label', l7egg(`subject: label:a=${LONG}`), 'at most 1000 are legal'],
  ];
  for (const [title, text, end] of rows) {
    test(title, { timeout: SOON_MS }, async () => {
      const errors = await errorsOf(text);
      assert.equal(errors.length, 1);
      const [line = ''] = errors;
      assert.ok(line.length <= MAX_LINE, `${line.length} characters`);
      assert.ok(line.endsWith(end), line);
    });
  }
});

test('a name of Kubernetes is one line of 1 to 253 characters', async () => {
  const { parts } = await read(kube(`{name: ${'a'.repeat(253)}}`));
  assert.equal(parts[0]?.name.length, 253);
  for (const name of ['a'.repeat(254), '""', '"a\\nb"', '"a\\e[31m"'])
    assert.match((await errorsOf(kube(`{name: ${name}}`))).join(), /metadata\.name: name ".*" is not legal/u);
});
