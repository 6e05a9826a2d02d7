import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { MAX_PORTS } from '../../src/policy/port.ts';
import { egress, egressDeny, policy, read, verdictOf } from './read-cilium.ts';

type Row = readonly [entry: string, packet: string, verdict: string];

function verdicts(title: string, rows: readonly Row[], toText: (entry: string) => string = egress): void {
  describe(title, () => {
    for (const [entry, packet, verdict] of rows) {
      test(`${entry}: ${packet} → ${verdict}`, async () => {
        const { parts } = await read(toText(entry));
        assert.equal(verdictOf(parts, packet), verdict);
      });
    }
  });
}

const ALLOW = 'allow n egress[0]';
const WEB = 'toPorts: [{ports: [{port: "443", protocol: TCP}]}]';

verdicts('an entry of egress, by whom it speaks of', [
  ['{}', 'tcp 192.0.2.1 443', 'deny'],
  ['{toCIDR: [10.0.0.0/8]}', 'tcp 10.1.2.3 443', ALLOW],
  ['{toCIDR: [10.0.0.0/8]}', 'icmp 10.1.2.3 8', ALLOW],
  ['{toCIDR: [10.0.0.0/8]}', 'gre 10.1.2.3 0', ALLOW],
  ['{toCIDR: [10.0.0.0/8]}', 'tcp 11.1.2.3 443', 'deny'],
  ['{toCIDR: [192.0.2.1]}', 'tcp 192.0.2.1 443', ALLOW],
  ['{toCIDR: [192.0.2.1, 198.51.100.0/24]}', 'tcp 198.51.100.9 443', ALLOW],
  ['{toCIDR: ["2001:db8::/32"]}', 'tcp 2001:db8::1 443', ALLOW],
  ['{toCIDR: [0.0.0.0/0]}', 'tcp 2001:db8::1 443', 'deny'],
  ['{toCIDRSet: [{cidr: 10.0.0.0/8}]}', 'tcp 10.1.2.3 443', ALLOW],
  ['{toCIDRSet: [{cidr: 10.0.0.0/8, except: []}]}', 'tcp 10.1.2.3 443', ALLOW],
  ['{toCIDRSet: [{cidr: 10.0.0.0/8, except: null}]}', 'tcp 10.1.2.3 443', ALLOW],
  ['{toCIDRSet: [{cidr: 10.0.0.0/8, except: [10.96.0.0/12]}]}', 'tcp 10.96.0.1 443', 'deny'],
  ['{toCIDRSet: [{cidr: 10.0.0.0/8, except: [10.96.0.0/12]}]}', 'tcp 10.1.0.1 443', ALLOW],
  [
    '{toCIDRSet: [{cidr: 10.0.0.0/8, except: [10.96.0.0/12]}, {cidr: 10.96.1.0/24}]}',
    'tcp 10.96.1.1 443',
    ALLOW,
  ],
  [
    '{toCIDRSet: [{cidr: 10.0.0.0/8, except: [10.96.0.0/12]}, {cidr: 10.96.1.0/24}]}',
    'tcp 10.96.2.1 443',
    'deny',
  ],
  ['{toFQDNs: [{matchName: a.test}]}', 'tcp 192.0.2.1 443 a.test', ALLOW],
  ['{toFQDNs: [{matchName: a.test}]}', 'tcp 192.0.2.1 443 b.test', 'deny'],
  ['{toFQDNs: [{matchName: a.test}]}', 'tcp 192.0.2.1 443', 'deny'],
  ['{toFQDNs: [{matchName: b.test}, {matchPattern: "*.a.test"}]}', 'tcp 192.0.2.1 443 x.a.test', ALLOW],
  ['{toFQDNs: [{matchPattern: "*"}]}', 'tcp 192.0.2.1 443 any.thing.test', ALLOW],
  ['{toFQDNs: [{matchPattern: "*"}]}', 'tcp 192.0.2.1 443', 'deny'],
  ['{toEntities: [world]}', 'tcp 192.0.2.1 443', ALLOW],
  ['{toEntities: [world]}', 'udp 2001:db8::1 443', ALLOW],
  ['{toEntities: [world]}', 'tcp 10.0.0.1 443', ALLOW],
  ['{toEntities: [all]}', 'gre 2001:db8::1 0', ALLOW],
  ['{toEntities: [world-ipv4]}', 'tcp 192.0.2.1 443', ALLOW],
  ['{toEntities: [world-ipv4]}', 'tcp 2001:db8::1 443', 'deny'],
  ['{toEntities: [world-ipv6]}', 'tcp 2001:db8::1 443', ALLOW],
  ['{toEntities: [world-ipv6]}', 'tcp 192.0.2.1 443', 'deny'],
  ['{toEntities: [none]}', 'tcp 192.0.2.1 443', 'deny'],
  ['{toEntities: [host]}', 'tcp 192.0.2.1 443', 'deny'],
  ['{toEntities: [none, world]}', 'tcp 192.0.2.1 443', ALLOW],
  [`{toEntities: [none], ${WEB}}`, 'tcp 192.0.2.1 443', 'deny'],
  [`{toEntities: [host], ${WEB}}`, 'tcp 192.0.2.1 443', 'deny'],
]);

/* Of no port list at all, and of lists that are empty: cilium/cilium#29608, and pkg/policy/api/egress.go. */
verdicts('an empty list', [
  [`{${WEB}}`, 'tcp 192.0.2.1 443', ALLOW],
  [`{${WEB}}`, 'tcp 192.0.2.1 80', 'deny'],
  [`{toCIDR: [], ${WEB}}`, 'tcp 192.0.2.1 443', 'deny'],
  [`{toCIDRSet: [], ${WEB}}`, 'tcp 192.0.2.1 443', 'deny'],
  [`{toEntities: [], ${WEB}}`, 'tcp 192.0.2.1 443', 'deny'],
  [`{toEndpoints: [], ${WEB}}`, 'tcp 192.0.2.1 443', 'deny'],
  [`{toNodes: [], ${WEB}}`, 'tcp 192.0.2.1 443', 'deny'],
  [`{toFQDNs: [], ${WEB}}`, 'tcp 192.0.2.1 443', 'deny'],
  ['{toEndpoints: []}', 'tcp 192.0.2.1 443', 'deny'],
  ['{toCIDR: [10.0.0.0/8], toEndpoints: []}', 'tcp 10.0.0.1 443', 'deny'],
  [`{toCIDR: null, ${WEB}}`, 'tcp 192.0.2.1 443', ALLOW],
  ['{toCIDR: [10.0.0.0/8], toPorts: []}', 'tcp 10.0.0.1 443', ALLOW],
  ['{toCIDR: [10.0.0.0/8], toPorts: null}', 'tcp 10.0.0.1 443', ALLOW],
  ['{toCIDR: [10.0.0.0/8], icmps: []}', 'tcp 10.0.0.1 443', ALLOW],
  ['{toPorts: []}', 'tcp 192.0.2.1 443', 'deny'],
  ['{toCIDR: [10.0.0.0/8], toPorts: [{}]}', 'tcp 10.0.0.1 443', 'deny'],
  ['{toCIDR: [10.0.0.0/8], toPorts: [{ports: []}]}', 'tcp 10.0.0.1 443', 'deny'],
  ['{toCIDR: [10.0.0.0/8], icmps: [{fields: []}]}', 'icmp 10.0.0.1 8', 'deny'],
  [`{toPorts: [{ports: [{port: "443"}], rules: {}}]}`, 'tcp 192.0.2.1 443', ALLOW],
  [`{toPorts: [{ports: [{port: "443"}], rules: {http: []}}]}`, 'tcp 192.0.2.1 443', ALLOW],
  [`{toPorts: [{ports: [{port: "53"}], rules: {dns: []}}]}`, 'udp 192.0.2.1 53', ALLOW],
  [`{toPorts: [{ports: [{port: "443"}], serverNames: []}]}`, 'tcp 192.0.2.1 443', ALLOW],
  ['{authentication: {mode: disabled}, toCIDR: [10.0.0.0/8]}', 'tcp 10.0.0.1 443', ALLOW],
]);

const at = (port: string) => `{toCIDR: [10.0.0.0/8], toPorts: [{ports: [${port}]}]}`;

verdicts('ports', [
  [at('{port: "80", protocol: TCP}'), 'tcp 10.0.0.1 80', ALLOW],
  [at('{port: "80", protocol: TCP}'), 'tcp 11.0.0.1 80', 'deny'],
  [at('{port: "80", protocol: TCP}'), 'tcp 10.0.0.1 81', 'deny'],
  [at('{port: "80", protocol: TCP}'), 'udp 10.0.0.1 80', 'deny'],
  [at('{port: "80", protocol: TCP}'), 'icmp 10.0.0.1 8', 'deny'],
  [at('{port: "80", protocol: UDP}'), 'udp 10.0.0.1 80', ALLOW],
  [at('{port: "80", protocol: SCTP}'), 'sctp 10.0.0.1 80', ALLOW],
  [at('{port: "80", protocol: SCTP}'), 'tcp 10.0.0.1 80', 'deny'],
  [at('{port: "80", protocol: ANY}'), 'tcp 10.0.0.1 80', ALLOW],
  [at('{port: "80", protocol: ANY}'), 'udp 10.0.0.1 80', ALLOW],
  [at('{port: "80", protocol: ANY}'), 'sctp 10.0.0.1 80', ALLOW],
  [at('{port: "80", protocol: ANY}'), 'icmp 10.0.0.1 80', 'deny'],
  [at('{port: "80"}'), 'udp 10.0.0.1 80', ALLOW],
  [at('{port: "80", protocol: ""}'), 'udp 10.0.0.1 80', ALLOW],
  [at('{port: "80", protocol: null}'), 'udp 10.0.0.1 80', ALLOW],
  [at('{port: 80}'), 'udp 10.0.0.1 80', ALLOW],
  [at('{port: "80", protocol: tcp}'), 'tcp 10.0.0.1 80', ALLOW],
  [at('{port: "80", protocol: Tcp}'), 'udp 10.0.0.1 80', 'deny'],
  [at('{port: "80", endPort: 444, protocol: TCP}'), 'tcp 10.0.0.1 80', ALLOW],
  [at('{port: "80", endPort: 444, protocol: TCP}'), 'tcp 10.0.0.1 444', ALLOW],
  [at('{port: "80", endPort: 444, protocol: TCP}'), 'tcp 10.0.0.1 445', 'deny'],
  [at('{port: "80", endPort: 444, protocol: TCP}'), 'tcp 10.0.0.1 79', 'deny'],
  [at('{port: "80", endPort: 80}'), 'tcp 10.0.0.1 80', ALLOW],
  [at('{port: "80", endPort: 0}'), 'tcp 10.0.0.1 80', ALLOW],
  [at('{port: "80", endPort: 0}'), 'tcp 10.0.0.1 81', 'deny'],
  [at('{port: "0", protocol: TCP}'), 'tcp 10.0.0.1 65535', ALLOW],
  [at('{port: "0", protocol: TCP}'), 'udp 10.0.0.1 443', 'deny'],
  [at('{port: "0"}'), 'sctp 10.0.0.1 443', ALLOW],
  [at('{port: "0"}'), 'icmp 10.0.0.1 8', 'deny'],
  [at('{port: "0"}'), 'gre 10.0.0.1 0', 'deny'],
  [at('{port: "65535"}'), 'tcp 10.0.0.1 65535', ALLOW],
  [
    '{toPorts: [{ports: [{port: "80"}]}, {ports: [{port: "443"}]}], toCIDR: [10.0.0.0/8]}',
    'tcp 10.0.0.1 443',
    ALLOW,
  ],
  [
    '{toFQDNs: [{matchName: a.test}], toPorts: [{ports: [{port: "443"}]}]}',
    'tcp 192.0.2.1 80 a.test',
    'deny',
  ],
  [
    '{toFQDNs: [{matchName: a.test}], toPorts: [{ports: [{port: "443"}]}]}',
    'tcp 192.0.2.1 443 a.test',
    ALLOW,
  ],
]);

const types = (fields: string) => `{icmps: [{fields: [${fields}]}]}`;

verdicts('types of ICMP', [
  [types('{type: 8}'), 'icmp 192.0.2.1 8', ALLOW],
  [types('{type: 8}'), 'icmp 192.0.2.1 0', 'deny'],
  [types('{type: 8}'), 'icmpv6 2001:db8::1 8', 'deny'],
  [types('{type: 8}'), 'tcp 192.0.2.1 8', 'deny'],
  [types('{type: "8", family: IPv4}'), 'icmp 192.0.2.1 8', ALLOW],
  [types('{type: 0}'), 'icmp 192.0.2.1 0', ALLOW],
  [types('{type: 255}'), 'icmp 192.0.2.1 255', ALLOW],
  [types('{type: 128, family: IPv6}'), 'icmpv6 2001:db8::1 128', ALLOW],
  [types('{type: EchoRequest}'), 'icmp 192.0.2.1 8', ALLOW],
  [types('{type: Echo}'), 'icmp 192.0.2.1 8', ALLOW],
  [types('{type: EchoReply}'), 'icmp 192.0.2.1 0', ALLOW],
  [types('{type: EchoRequest, family: IPv6}'), 'icmpv6 2001:db8::1 128', ALLOW],
  [types('{type: EchoRequest, family: IPv6}'), 'icmp 192.0.2.1 8', 'deny'],
  [types('{type: ExtendedEchoReply, family: IPv6}'), 'icmpv6 2001:db8::1 161', ALLOW],
  [types('{type: 8}, {type: 0}'), 'icmp 192.0.2.1 0', ALLOW],
  ['{toCIDR: [10.0.0.0/8], icmps: [{fields: [{type: 8}]}]}', 'icmp 11.0.0.1 8', 'deny'],
  ['{toCIDR: [10.0.0.0/8], icmps: [{fields: [{type: 8}]}]}', 'icmp 10.0.0.1 8', ALLOW],
]);

const DENY = 'deny n egressDeny[0]';

verdicts(
  'an entry of egressDeny, where all else may pass',
  [
    ['{toCIDR: [10.0.0.0/8]}', 'tcp 10.0.0.1 443', DENY],
    ['{toCIDR: [10.0.0.0/8]}', 'tcp 11.0.0.1 443', ALLOW],
    ['{toCIDRSet: [{cidr: 10.0.0.0/8, except: [10.1.0.0/16]}]}', 'tcp 10.1.0.1 443', ALLOW],
    ['{toCIDRSet: [{cidr: 10.0.0.0/8, except: [10.1.0.0/16]}]}', 'tcp 10.2.0.1 443', DENY],
    ['{toEntities: [world]}', 'tcp 192.0.2.1 443', DENY],
    ['{toEntities: [all]}', 'icmp 192.0.2.1 8', DENY],
    ['{toEntities: [world-ipv6]}', 'tcp 2001:db8::1 443', DENY],
    ['{toEntities: [world-ipv6]}', 'tcp 192.0.2.1 443', ALLOW],
    ['{toEntities: [host]}', 'tcp 192.0.2.1 443', ALLOW],
    ['{toCIDR: [10.0.0.0/8], toPorts: [{ports: [{port: "80"}]}]}', 'tcp 10.0.0.1 80', DENY],
    ['{toCIDR: [10.0.0.0/8], toPorts: [{ports: [{port: "80"}]}]}', 'tcp 10.0.0.1 81', ALLOW],
    ['{toPorts: [{ports: [{port: "25", protocol: TCP}]}]}', 'tcp 192.0.2.1 25', DENY],
    ['{toPorts: [{ports: [{port: "25", protocol: TCP}]}]}', 'tcp 192.0.2.1 443', ALLOW],
    ['{icmps: [{fields: [{type: 8}]}]}', 'icmp 192.0.2.1 8', DENY],
    ['{icmps: [{fields: [{type: 8}]}]}', 'icmp 192.0.2.1 0', ALLOW],
    ['{toCIDR: []}', 'tcp 192.0.2.1 443', ALLOW],
    ['{}', 'tcp 192.0.2.1 443', ALLOW],
  ],
  (entry) => policy('endpointSelector: {}', 'egress: [{toEntities: [all]}]', 'egressDeny:', `- ${entry}`),
);

describe('rules of one policy', () => {
  test('add up, and are named by their place', async () => {
    const { parts } = await read(egress('{toCIDR: [10.0.0.0/8]}', '{}', '{toCIDR: [192.0.2.0/24]}'));
    assert.equal(verdictOf(parts, 'tcp 10.0.0.1 443'), 'allow n egress[0]');
    assert.equal(verdictOf(parts, 'tcp 192.0.2.1 443'), 'allow n egress[2]');
    assert.equal(verdictOf(parts, 'tcp 198.51.100.1 443'), 'deny');
  });

  test('that deny allow nothing by themselves', async () => {
    const { parts } = await read(egressDeny('{toCIDR: [10.0.0.0/8]}'));
    assert.equal(verdictOf(parts, 'tcp 192.0.2.1 443'), 'deny');
    assert.deepEqual(
      parts.map(({ restricts }) => restricts),
      [true],
    );
  });

  test('have as many ports as there are, by several of ours', async () => {
    const ports = Array.from({ length: 40 }, (_, index) => `{port: "${1000 + 2 * index}"}`).join(', ');
    const { parts } = await read(egress(at(ports)));
    const rules = parts.flatMap((part) => part.rules);
    assert.ok(rules.length > 1);
    assert.ok(rules.every((rule) => rule.ports.length >= 1 && rule.ports.length <= MAX_PORTS));
    for (let port = 1000; port < 1080; port += 1) {
      const expected = port % 2 === 0 ? ALLOW : 'deny';
      for (const protocol of ['tcp', 'udp', 'sctp'])
        assert.equal(verdictOf(parts, `${protocol} 10.0.0.1 ${port}`), expected);
    }
  });
});

describe('an entry of egressDeny that denies nothing is warned of:', () => {
  const ports = 'denies nothing: it lists no "ports"';
  const fields = 'denies nothing: it lists no "fields"';
  const nothing = 'denies nothing: it says neither whom nor what, and "toEntities: [all]" denies everything';
  const rows: readonly (readonly [entry: string, ...remarks: string[]])[] = [
    ['{}', `7:5: spec.egressDeny[0] ${nothing}`],
    ['{toPorts: []}', `7:5: spec.egressDeny[0] ${nothing}`],
    ['{toPorts: [{}]}', `7:16: spec.egressDeny[0].toPorts[0] ${ports}`],
    ['{toPorts: [{ports: []}]}', `7:16: spec.egressDeny[0].toPorts[0] ${ports}`],
    ['{toCIDR: [9.9.9.9], toPorts: [{}]}', `7:35: spec.egressDeny[0].toPorts[0] ${ports}`],
    ['{icmps: [{}]}', `7:14: spec.egressDeny[0].icmps[0] ${fields}`],
    ['{icmps: [{fields: []}]}', `7:14: spec.egressDeny[0].icmps[0] ${fields}`],
    ['{toCIDR: []}', '7:14: spec.egressDeny[0].toCIDR is empty: it selects nobody'],
    ['{toEntities: [none]}', '7:18: spec.egressDeny[0].toEntities denies nothing: "none" is nobody'],
    ['{toEntities: [none, world]}'],
    ['{toCIDR: [9.9.9.9]}'],
    ['{icmps: [{fields: [{type: 8}]}]}'],
  ];
  for (const [entry, ...remarks] of rows) {
    test(entry, async () => {
      const taken = await read(egressDeny(entry));
      assert.deepEqual(
        taken.remarks,
        remarks.map((remark) => `p.yaml:${remark}`),
      );
    });
  }

  test('of egress it is not', async () => {
    for (const entry of ['{}', '{toPorts: [{}]}', '{icmps: [{}]}'])
      assert.deepEqual((await read(egress(entry))).remarks, []);
  });
});
