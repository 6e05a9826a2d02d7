import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { egress, egressDeny, errorsOf, read } from './read-cilium.ts';

const DENY_MEMBERS =
  '"toCIDR", "toCIDRSet", "toEntities", "toEndpoints", "toServices", "toGroups", "toNodes", "toPorts" or "icmps" is legal';
const WORLDS = '"all", "world", "world-ipv4", "world-ipv6", "host" or "none" is legal';
const at = (port: string) => `{toPorts: [{ports: [${port}]}]}`;

describe('what is not enforced is an error, and lets less pass when lenient', () => {
  const web = 'ports: [{port: "443", protocol: TCP}]';
  const entry = 'spec.egress[0].toPorts[0]';
  const shut = `so nothing passes by ${entry}`;
  const rows: readonly (readonly [entry: string, place: string, what: string, kept?: number])[] = [
    [
      `{toPorts: [{${web}, rules: {http: [{path: /}]}}]}`,
      '70',
      `${entry}.rules.http is not enforced, ${shut}`,
    ],
    [`{toPorts: [{${web}, rules: {http: [{}]}}]}`, '70', `${entry}.rules.http is not enforced, ${shut}`],
    [`{toPorts: [{${web}, rules: {kafka: [{}]}}]}`, '71', `${entry}.rules.kafka is not enforced, ${shut}`],
    [`{toPorts: [{${web}, rules: {l7proto: x}}]}`, '73', `${entry}.rules.l7proto is not enforced, ${shut}`],
    [`{toPorts: [{${web}, rules: {l7: [{}]}}]}`, '68', `${entry}.rules.l7 is not enforced, ${shut}`],
    [`{toPorts: [{${web}, serverNames: [a.test]}]}`, '69', `${entry}.serverNames is not enforced, ${shut}`],
    [`{toPorts: [{${web}, terminatingTLS: {}}]}`, '72', `${entry}.terminatingTLS is not enforced, ${shut}`],
    [`{toPorts: [{${web}, originatingTLS: {}}]}`, '72', `${entry}.originatingTLS is not enforced, ${shut}`],
    [`{toPorts: [{${web}, listener: {name: x}}]}`, '66', `${entry}.listener is not enforced, ${shut}`],
    [
      `{toPorts: [{${web}, rules: {http: [{}]}}, {ports: [{port: "80"}]}]}`,
      '70',
      `${entry}.rules.http is not enforced, ${shut}`,
      1,
    ],
    [at('{port: http}'), '32', `${entry}.ports[0].port is "http", the name of a port of a pod`],
    [
      at('{port: http}, {port: "80"}'),
      '32',
      `${entry}.ports[0].port is "http", the name of a port of a pod`,
      1,
    ],
    [
      at('{port: "0", protocol: VRRP}'),
      '47',
      `${entry}.ports[0].protocol is "VRRP", of which nothing is enforced`,
    ],
    ['{toEndpoints: [{}]}', '19', 'spec.egress[0].toEndpoints selects pods, of which none is known'],
    [
      '{toEndpoints: [{matchLabels: {role: backend}}], toPorts: [{ports: [{port: "80"}]}]}',
      '19',
      'spec.egress[0].toEndpoints selects pods, of which none is known',
    ],
    [
      '{toEndpoints: [{}], toPorts: [{ports: [{port: "53"}]}]}',
      '19',
      'spec.egress[0].toEndpoints selects pods, of which none is known',
    ],
    ['{toServices: [{}]}', '18', 'spec.egress[0].toServices selects what only a cluster has'],
    [
      '{toServices: [{}], toPorts: [{ports: [{port: "80"}]}]}',
      '18',
      'spec.egress[0].toServices selects what only a cluster has',
    ],
    ['{toGroups: [{aws: {}}]}', '16', 'spec.egress[0].toGroups selects what only a cluster has'],
    ['{toNodes: [{}]}', '15', 'spec.egress[0].toNodes selects what only a cluster has'],
    ...['cluster', 'kube-apiserver', 'remote-node', 'health', 'init', 'ingress', 'unmanaged'].map(
      (entity) =>
        [
          `{toEntities: [${entity}]}`,
          '19',
          `spec.egress[0].toEntities[0] is "${entity}", which only a cluster has: ${WORLDS}`,
        ] as const,
    ),
    [
      '{toEntities: [cluster, world]}',
      '19',
      `spec.egress[0].toEntities[0] is "cluster", which only a cluster has: ${WORLDS}`,
      1,
    ],
    [
      '{toCIDRSet: [{cidrGroupRef: g}, {cidr: 10.0.0.0/8}]}',
      '33',
      'spec.egress[0].toCIDRSet[0].cidrGroupRef names a CiliumCIDRGroup, of which none is known',
      1,
    ],
    [
      '{toCIDRSet: [{cidrGroupSelector: {}}]}',
      '38',
      'spec.egress[0].toCIDRSet[0].cidrGroupSelector names a CiliumCIDRGroup, of which none is known',
    ],
    [
      '{toRequires: [{}], toCIDR: [10.0.0.0/8]}',
      '18',
      'spec.egress[0].toRequires is no longer known to Cilium 1.19',
    ],
    [
      '{authentication: {mode: required}, toCIDR: [10.0.0.0/8]}',
      '29',
      'spec.egress[0].authentication.mode is "required": peers are not authenticated',
    ],
  ];
  for (const [entry, column, what, kept = 0] of rows) {
    test(`${entry} is an error`, async () => {
      assert.equal(await errorsOf(egress(entry)), `p.yaml:7:${column}: ${what}; -lenient leaves it out`);
    });

    test(`${entry} makes ${kept} rules when lenient`, async () => {
      const { parts, remarks } = await read(egress(entry), { lenient: true });
      assert.deepEqual(remarks, [`p.yaml:7:${column}: ${what}: left out`]);
      assert.deepEqual(
        parts.map(({ restricts, rules }) => [restricts, rules.length]),
        [[true, kept]],
      );
    });
  }
});

describe('of what denies nothing is left out, also when lenient', () => {
  const rows: readonly (readonly [entry: string, error: string])[] = [
    ['{toEndpoints: [{}]}', '19: spec.egressDeny[0].toEndpoints selects pods, of which none is known'],
    ['{toServices: [{}]}', '18: spec.egressDeny[0].toServices selects what only a cluster has'],
    ['{toGroups: [{}]}', '16: spec.egressDeny[0].toGroups selects what only a cluster has'],
    ['{toNodes: [{}]}', '15: spec.egressDeny[0].toNodes selects what only a cluster has'],
    [
      '{toEntities: [world, cluster]}',
      `26: spec.egressDeny[0].toEntities[1] is "cluster", which only a cluster has: ${WORLDS}`,
    ],
    [
      '{toCIDRSet: [{cidrGroupRef: g}]}',
      '33: spec.egressDeny[0].toCIDRSet[0].cidrGroupRef names a CiliumCIDRGroup, of which none is known',
    ],
    [
      at('{port: http}'),
      '32: spec.egressDeny[0].toPorts[0].ports[0].port is "http", the name of a port of a pod',
    ],
    [
      at('{port: "0", protocol: GRE}'),
      '47: spec.egressDeny[0].toPorts[0].ports[0].protocol is "GRE", of which nothing is enforced',
    ],
  ];
  for (const [entry, error] of rows) {
    test(entry, async () => {
      const text = await errorsOf(egressDeny(entry), { lenient: true });
      assert.equal(text, `p.yaml:7:${error}, and what denies can't be left out`);
    });
  }

  /* deny.rst: "Deny policies do not support: policy enforcement at L7 [...] and toFQDNs". */
  const unknown: readonly (readonly [entry: string, error: string])[] = [
    [
      '{toFQDNs: [{matchName: a.test}]}',
      `6: spec.egressDeny[0] has the unknown key "toFQDNs": ${DENY_MEMBERS}`,
    ],
    [
      '{authentication: {mode: required}}',
      `6: spec.egressDeny[0] has the unknown key "authentication": ${DENY_MEMBERS}`,
    ],
    [
      '{toPorts: [{ports: [{port: "80"}], rules: {http: [{}]}}]}',
      '40: spec.egressDeny[0].toPorts[0] has the unknown key "rules": "ports" is legal',
    ],
  ];
  for (const [entry, error] of unknown) {
    test(`${entry} is not known`, async () => {
      assert.equal(await errorsOf(egressDeny(entry), { lenient: true }), `p.yaml:7:${error}`);
    });
  }
});
