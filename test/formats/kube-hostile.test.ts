import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { errorsOf, read } from './kube-reading.ts';

const READING = { labels: new Map([['app', 'web']]), networks: ['default/net'] };
const VALUES: readonly unknown[] = [
  null,
  [],
  {},
  [[]],
  [null],
  [{}],
  { a: 1 },
  1,
  -1,
  1.5,
  true,
  '',
  'x',
  'a b',
];
const POD_SELECTOR = {
  matchLabels: { app: 'web' },
  matchExpressions: [{ key: 'app', operator: 'In', values: ['web'] }],
};
const POLICY_SPEC = {
  podSelector: POD_SELECTOR,
  policyTypes: ['Egress'],
  egress: [
    {
      to: [{ ipBlock: { cidr: '10.0.0.0/8', except: ['10.1.0.0/16'] } }],
      ports: [{ protocol: 'TCP', port: 1, endPort: 9 }],
    },
  ],
};

const DOCUMENTS: readonly { readonly kind: string; readonly [key: string]: unknown }[] = [
  { apiVersion: 'networking.k8s.io/v1', kind: 'NetworkPolicy', metadata: { name: 'np' }, spec: POLICY_SPEC },
  {
    apiVersion: 'k8s.cni.cncf.io/v1beta1',
    kind: 'MultiNetworkPolicy',
    metadata: {
      name: 'mnp',
      namespace: 'default',
      annotations: { 'k8s.v1.cni.cncf.io/policy-for': 'net' },
    },
    spec: POLICY_SPEC,
  },
  {
    apiVersion: 'maciekleks.dev/v1alpha1',
    kind: 'ClusterEgg',
    metadata: { name: 'egg' },
    spec: {
      programType: 'tc',
      ingress: { interfaceName: 'eth1' },
      egress: {
        interfaceName: 'eth0',
        commonNames: ['.a.test'],
        cidrs: ['10.0.0.0/8', { cidr: '192.0.2.0/24' }],
        ports: [{ port: 443, protocol: 'TCP' }],
        shaping: { rate: '1mbit', ceil: '2mbit' },
        podSelector: POD_SELECTOR,
      },
    },
  },
  {
    apiVersion: 'egress.monzo.com/v1',
    kind: 'ExternalService',
    metadata: { name: 'es' },
    spec: { dnsName: 'a.test', ports: [{ port: 443, protocol: 'TCP' }], ipOverride: ['192.0.2.1'] },
  },
];

/** The value with one value inside it, whichever, replaced by another. */
function* replaceEach(value: unknown, other: unknown): Generator<unknown> {
  yield other;
  if (typeof value !== 'object' || value === null) return;
  const entries = Object.entries(value);
  for (const [at, [, inner]] of entries.entries()) {
    for (const changed of replaceEach(inner, other)) {
      const all = entries.map(([key, old], index) => [key, index === at ? changed : old] as const);
      yield Array.isArray(value) ? all.map(([, item]) => item) : Object.fromEntries(all);
    }
  }
}

describe('a policy with one value changed to a hostile one is read, or refused with a place', () => {
  for (const document of DOCUMENTS) {
    test(document.kind, async () => {
      assert.equal((await read(JSON.stringify(document), READING)).parts.length, 1);
      let refused = 0;
      for (const value of VALUES) {
        for (const changed of replaceEach(document, value)) {
          const errors = await errorsOf(JSON.stringify(changed), READING);
          for (const error of errors) assert.match(error, /^p\.yaml:\d+:\d+: \S/u, JSON.stringify(changed));
          refused += errors.length > 0 ? 1 : 0;
        }
      }
      assert.ok(refused > 100, `${refused} refused`);
    });
  }
});
