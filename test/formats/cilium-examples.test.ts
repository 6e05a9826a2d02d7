import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { PolicyPart } from '../../src/formats/part.ts';
import { holdsName } from '../../src/policy/who.ts';
import { errorsOf, read, verdictOf } from './read-cilium.ts';

/** A policy as `examples/policies` of Cilium have them: its file there, what it says in our words, and what passes. */
interface Example {
  readonly file: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly text: string;
  readonly verdicts?: readonly (readonly [packet: string, verdict: string])[];
  /** Whether a name may be looked up under the DNS mode that the policy has. */
  readonly lookups?: readonly (readonly [name: string, passes: boolean])[];
  readonly dns?: string;
}

const head = (name: string) => `apiVersion: "cilium.io/v2"
kind: CiliumNetworkPolicy
metadata:
  name: "${name}"
`;

const KUBE_DNS = `toEndpoints:
    - matchLabels:
        "k8s:io.kubernetes.pod.namespace": kube-system
        "k8s:k8s-app": kube-dns`;

const EXAMPLES: readonly Example[] = [
  {
    file: 'l3/cidr/cidr.yaml',
    labels: { app: 'service' },
    text: `${head('cidr')}spec:
  endpointSelector:
    matchLabels:
      app: service
  egress:
  - toCIDR:
    - 20.1.1.1/32
  - toCIDRSet:
    - cidr: 10.0.0.0/8
      except:
      - 10.96.0.0/12
`,
    verdicts: [
      ['tcp 20.1.1.1 443', 'allow cidr egress[0]'],
      ['tcp 20.1.1.2 443', 'deny'],
      ['udp 10.1.0.1 123', 'allow cidr egress[1]'],
      ['tcp 10.96.0.1 443', 'deny'],
      ['tcp 10.111.255.255 443', 'deny'],
      ['tcp 10.112.0.0 443', 'allow cidr egress[1]'],
    ],
  },
  {
    file: 'l3/fqdn/fqdn.yaml',
    labels: { app: 'test' },
    text: `${head('fqdn')}spec:
  endpointSelector:
    matchLabels:
      app: test
  egress:
  - ${KUBE_DNS}
    toPorts:
    - ports:
      - port: "53"
        protocol: ANY
      rules:
        dns:
        - matchPattern: "*"
  - toFQDNs:
    - matchName: "my-remote-service.com"
`,
    verdicts: [
      ['tcp 203.0.113.1 443 my-remote-service.com', 'allow fqdn egress[1]'],
      ['tcp 203.0.113.1 443 www.my-remote-service.com', 'deny'],
      ['tcp 203.0.113.1 443', 'deny'],
    ],
    dns: 'open',
  },
  {
    file: 'l3/fqdn/fqdn-cascade.yaml',
    labels: {},
    text: `${head('cascade')}spec:
  endpointSelector: {}
  egress:
  - toFQDNs:
    - matchPattern: "**.cilium.io"
    toPorts:
    - ports:
      - port: "443"
        protocol: TCP
`,
    verdicts: [
      ['tcp 203.0.113.1 443 app.cilium.io', 'allow cascade egress[0]'],
      ['tcp 203.0.113.1 443 test.app.cilium.io', 'allow cascade egress[0]'],
      ['tcp 203.0.113.1 443 cilium.io', 'deny'],
      ['tcp 203.0.113.1 80 app.cilium.io', 'deny'],
    ],
  },
  {
    file: 'l7/dns/dns.yaml',
    labels: { org: 'alliance' },
    text: `${head('dns')}spec:
  endpointSelector:
    matchLabels:
      any:org: alliance
  egress:
  - ${KUBE_DNS}
    toPorts:
    - ports:
      - port: "53"
        protocol: ANY
      rules:
        dns:
        - matchName: "cilium.io"
        - matchPattern: "*.cilium.io"
        - matchPattern: "*.api.cilium.io"
  - toFQDNs:
    - matchName: "cilium.io"
    - matchName: "sub.cilium.io"
    - matchName: "service1.api.cilium.io"
    - matchPattern: "special*service.api.cilium.io"
    toPorts:
    - ports:
      - port: "80"
        protocol: TCP
`,
    verdicts: [
      ['tcp 203.0.113.1 80 cilium.io', 'allow dns egress[1]'],
      ['tcp 203.0.113.1 80 sub.cilium.io', 'allow dns egress[1]'],
      ['tcp 203.0.113.1 80 service1.api.cilium.io', 'allow dns egress[1]'],
      ['tcp 203.0.113.1 80 special-region1-service.api.cilium.io', 'allow dns egress[1]'],
      ['tcp 203.0.113.1 80 region1-service.api.cilium.io', 'deny'],
      ['tcp 203.0.113.1 80 anothersub.cilium.io', 'deny'],
      ['tcp 203.0.113.1 443 cilium.io', 'deny'],
    ],
    lookups: [
      ['cilium.io', true],
      ['anothersub.cilium.io', true],
      ['region1-service.api.cilium.io', true],
      ['a.b.api.cilium.io', false],
      ['google.com', false],
    ],
    dns: 'strict',
  },
  {
    file: 'getting-started/dns-port.yaml',
    labels: { org: 'empire', class: 'mediabot' },
    text: `${head('port')}specs:
- endpointSelector:
    matchLabels:
      org: empire
      class: mediabot
  egress:
  - toFQDNs:
    - matchPattern: "*.github.com"
    toPorts:
    - ports:
      - port: "443"
        protocol: TCP
- endpointSelector:
    matchLabels: {}
  egress:
  - ${KUBE_DNS}
    toPorts:
    - ports:
      - port: "53"
        protocol: ANY
      rules:
        dns:
        - matchPattern: "*"
`,
    verdicts: [
      ['tcp 203.0.113.1 443 support.github.com', 'allow port specs[0] egress[0]'],
      ['tcp 203.0.113.1 80 support.github.com', 'deny'],
      ['tcp 203.0.113.1 443 github.com', 'deny'],
    ],
    dns: 'open',
  },
  {
    file: 'l3/egress-default-deny/egress-default-deny.yaml',
    labels: { role: 'restricted' },
    text: `${head('deny-all')}spec:
  endpointSelector:
    matchLabels:
      role: restricted
  egress:
  - {}
`,
    verdicts: [
      ['tcp 203.0.113.1 443', 'deny'],
      ['icmp 203.0.113.1 8', 'deny'],
    ],
  },
  {
    file: 'l3/entities/world.yaml, for egress',
    labels: { role: 'public' },
    text: `${head('world')}spec:
  endpointSelector:
    matchLabels:
      role: public
  egress:
  - toEntities:
    - world
`,
    verdicts: [
      ['tcp 203.0.113.1 443', 'allow world egress[0]'],
      ['udp 2001:db8::1 443', 'allow world egress[0]'],
    ],
  },
  {
    file: 'l4/l4.yaml',
    labels: { app: 'service' },
    text: `${head('l4')}spec:
  endpointSelector:
    matchLabels:
      app: service
  egress:
  - toPorts:
    - ports:
      - port: "80"
        protocol: TCP
`,
    verdicts: [
      ['tcp 203.0.113.1 80', 'allow l4 egress[0]'],
      ['tcp 203.0.113.1 443', 'deny'],
      ['udp 203.0.113.1 80', 'deny'],
      ['icmp 203.0.113.1 8', 'deny'],
    ],
  },
  {
    file: 'l4/l4_port_range.yaml',
    labels: { app: 'service' },
    text: `${head('range')}spec:
  endpointSelector:
    matchLabels:
      app: service
  egress:
  - toPorts:
    - ports:
      - port: "80"
        endPort: 444
        protocol: TCP
`,
    verdicts: [
      ['tcp 203.0.113.1 443', 'allow range egress[0]'],
      ['tcp 203.0.113.1 445', 'deny'],
    ],
  },
  {
    file: 'l4/cidr_l4_combined.yaml',
    labels: { role: 'crawler' },
    text: `${head('crawler')}spec:
  endpointSelector:
    matchLabels:
      role: crawler
  egress:
  - toCIDR:
    - 192.0.2.0/24
    toPorts:
    - ports:
      - port: "80"
        protocol: TCP
`,
    verdicts: [
      ['tcp 192.0.2.9 80', 'allow crawler egress[0]'],
      ['tcp 192.0.2.9 81', 'deny'],
      ['tcp 192.0.3.9 80', 'deny'],
    ],
  },
  {
    file: 'l4/icmp.yaml',
    labels: { app: 'service' },
    text: `${head('icmp')}spec:
  endpointSelector:
    matchLabels:
      app: service
  egress:
  - icmps:
    - fields:
      - type: 8
        family: IPv4
      - type: EchoRequest
        family: IPv6
`,
    verdicts: [
      ['icmp 203.0.113.1 8', 'allow icmp egress[0]'],
      ['icmpv6 2001:db8::1 128', 'allow icmp egress[0]'],
      ['icmp 203.0.113.1 0', 'deny'],
      ['tcp 203.0.113.1 80', 'deny'],
    ],
  },
];

/* Lookups pass as the datapath has it: in strict mode, those of names that a rule lists without denying. */
function mayLookUp(parts: readonly PolicyPart[], name: string): boolean {
  return parts.some(({ rules }) =>
    rules.some(({ who, action }) => action !== 'deny' && holdsName(who, name)),
  );
}

describe('an example of Cilium', () => {
  for (const { file, labels, text, verdicts = [], lookups = [], dns = 'says nothing' } of EXAMPLES) {
    for (const [packet, verdict] of verdicts) {
      test(`${file}: ${packet} → ${verdict}`, async () => {
        assert.equal(verdictOf((await read(text, { labels })).parts, packet), verdict);
      });
    }
    for (const [name, passes] of lookups) {
      test(`${file}: a lookup of ${name} ${passes ? 'passes' : 'is refused'}`, async () => {
        assert.equal(mayLookUp((await read(text, { labels })).parts, name), passes);
      });
    }
    test(`${file}: the DNS mode ${dns}`, async () => {
      const { parts } = await read(text, { labels });
      const modes = parts.flatMap((part) => part.dns ?? []);
      assert.deepEqual(modes, dns === 'says nothing' ? [] : [dns]);
      assert.ok(parts.every(({ restricts }) => restricts));
    });
  }

  test('l3/egress-deny/egress-deny.yaml: denies pods, so that it is refused, also when lenient', async () => {
    const text = `${head('deny')}spec:
  endpointSelector: {}
  egress:
  - toEntities: [all]
  egressDeny:
  - toEndpoints:
    - matchLabels:
        role: backend
`;
    assert.match(
      await errorsOf(text, { lenient: true }),
      /^p\.yaml:11:5: spec\.egressDeny\[0\]\.toEndpoints selects pods/u,
    );
  });

  test('l4/l4_sni.yaml: names a server, so that nothing passes by it when lenient', async () => {
    const text = `${head('sni')}spec:
  endpointSelector: {}
  egress:
  - toPorts:
    - ports:
      - port: "443"
        protocol: TCP
      serverNames:
      - one.one.one.one
`;
    assert.match(
      await errorsOf(text),
      /^p\.yaml:13:7: spec\.egress\[0\]\.toPorts\[0\]\.serverNames is not enforced/u,
    );
    const { parts } = await read(text, { lenient: true });
    assert.equal(verdictOf(parts, 'tcp 1.1.1.1 443'), 'deny');
  });
});
