import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { atMarks, errorsOf, type Reading, read, verdict } from './kube-reading.ts';

function egg(spec: string): string {
  return `apiVersion: maciekleks.dev/v1alpha1\nkind: ClusterEgg\nmetadata: {name: egg}\nspec: ${spec}\n`;
}

const EGRESS = (egress: string) => egg(`{programType: tc, egress: {${egress}}}`);
const NAMES = EGRESS('commonNames: [www.onet.pl, .ubuntu.com, ome.com]');
const LIMITED = EGRESS(
  'commonNames: [.cern.ch], cidrs: [10.152.183.0/24, "2001:db8::/32"], ports: [{port: 80}, {port: 443, protocol: TCP}, {port: 53, protocol: UDP}, {port: 7, protocol: SCTP}]',
);
const OWN_PORTS = EGRESS(
  'commonNames: [.ubuntu.com], cidrs: [{cidr: 172.172.34.3/32, ports: [{port: 443, protocol: TCP}]}, {cidr: 10.0.0.0/24, ports: [{port: 80}]}, {cidr: 192.0.2.0/24}]',
);
const TESTER: Reading = { labels: new Map([['app', 'tester']]) };
/** The example of its documentation. */
const DOCUMENTED = `
apiVersion: maciekleks.dev/v1alpha1
kind: ClusterEgg
metadata:
  name: pod-egg
spec:
  ingress: {}
  egress:
    shaping:
      rate: 1mbit
      ceil: 2mbit
    commonNames:
      - www.interia.pl
      - cluster.local
    cidrs:
      - 10.152.183.0/24
      - 169.254.1.1/32
    ports:
      - port: 80
      - port: 443
        protocol: TCP
    podSelector:
      matchLabels:
        app: tester
`;

describe('readClusterEgg lets pass', () => {
  const rows: readonly (readonly [text: string, target: string, expected: string, reading?: Reading])[] = [
    [NAMES, 'www.onet.pl:443', 'allow egg commonNames[0]'],
    [NAMES, 'x.www.onet.pl:443', 'allow egg commonNames[0]'],
    [NAMES, 'onet.pl:443', 'deny'],
    [NAMES, 'archive.ubuntu.com:80', 'allow egg commonNames[1]'],
    [NAMES, 'ubuntu.com:80', 'deny'],
    [NAMES, 'www.home.com:80', 'allow egg commonNames[2]'],
    [NAMES, '192.0.2.1:80', 'deny'],
    [EGRESS('cidrs: [10.0.2.0/24, 10.1.0.0/16]'), '10.1.9.9:1', 'allow egg cidrs[1]'],
    [EGRESS('cidrs: [10.0.2.0/24]'), '10.0.2.9 icmp', 'allow egg cidrs[0]'],
    [EGRESS('cidrs: [10.0.2.0/24]'), '10.0.3.9:1', 'deny'],
    [EGRESS('cidrs: [10.0.2.0/24], ports: []'), '10.0.2.9:1/udp', 'allow egg cidrs[0]'],
    [EGRESS('cidrs: [10.0.2.0/24], ports: null'), '10.0.2.9:1/udp', 'allow egg cidrs[0]'],
    [LIMITED, 'home.cern.ch:80', 'allow egg commonNames[0]'],
    [LIMITED, 'home.cern.ch:443', 'allow egg commonNames[0]'],
    [LIMITED, 'home.cern.ch:53/udp', 'allow egg commonNames[0]'],
    [LIMITED, 'home.cern.ch:7/sctp', 'allow egg commonNames[0]'],
    [LIMITED, 'home.cern.ch:80/udp', 'deny'],
    [LIMITED, 'home.cern.ch:53', 'deny'],
    [LIMITED, 'home.cern.ch:8080', 'deny'],
    [LIMITED, '10.152.183.7:80', 'allow egg cidrs[0]'],
    [LIMITED, '10.152.183.7:81', 'deny'],
    [LIMITED, '10.152.183.7 icmp', 'deny'],
    [LIMITED, '[2001:db8::7]:443', 'allow egg cidrs[1]'],
    [OWN_PORTS, '172.172.34.3:443', 'allow egg cidrs[0]'],
    [OWN_PORTS, '172.172.34.3:80', 'deny'],
    [OWN_PORTS, '10.0.0.1:80', 'allow egg cidrs[1]'],
    [OWN_PORTS, '10.0.0.1:443', 'deny'],
    [OWN_PORTS, '192.0.2.1:9/udp', 'allow egg cidrs[2]'],
    [OWN_PORTS, 'a.ubuntu.com:9', 'allow egg commonNames[0]'],
    [EGRESS(''), '10.0.2.9:1', 'deny'],
    [EGRESS('commonNames: [], cidrs: []'), '10.0.2.9:1', 'deny'],
    [EGRESS('commonNames: null, cidrs: null'), '10.0.2.9:1', 'deny'],
    [EGRESS('ports: [{port: 80}]'), '10.0.2.9:80', 'deny'],
    [egg('{programType: tc}'), '10.0.2.9:80', 'deny'],
    [egg('{}'), '10.0.2.9:80', 'deny'],
    [DOCUMENTED, 'www.interia.pl:80', 'allow pod-egg commonNames[0]', TESTER],
    [DOCUMENTED, 'svc.cluster.local:443', 'allow pod-egg commonNames[1]', TESTER],
    [DOCUMENTED, 'www.interia.pl:22', 'deny', TESTER],
    [DOCUMENTED, '169.254.1.1:443', 'allow pod-egg cidrs[1]', TESTER],
    [DOCUMENTED, '192.168.57.1:443', 'deny', TESTER],
    [DOCUMENTED, '192.168.57.1:443', 'open', { labels: new Map([['app', 'web']]) }],
    [EGRESS('podSelector: {}'), '10.0.2.9:80', 'deny'],
  ];
  for (const [text, target, expected, reading] of rows) {
    const shown = text.slice(text.indexOf('spec:')).trim();
    test(`${shown} [${[...(reading?.labels ?? [])].join()}]: ${target} → ${expected}`, async () => {
      assert.equal(verdict((await read(text, reading)).parts, target), expected);
    });
  }
});

describe('readClusterEgg takes', () => {
  const settings: readonly (readonly [spec: string, expected: object])[] = [
    ['{}', { mode: 'cgroup' }],
    ['{programType: null, ingress: null, egress: null}', { mode: 'cgroup' }],
    ['{programType: cgroup}', { mode: 'cgroup' }],
    ['{programType: tc}', { mode: 'tc' }],
    [
      '{programType: tc, ingress: {interfaceName: eth1}, egress: {interfaceName: eth0}}',
      { mode: 'tc', eface: 'eth0', iface: 'eth1' },
    ],
    ['{egress: {shaping: {}}}', { mode: 'cgroup' }],
    ['{egress: {shaping: null}}', { mode: 'cgroup' }],
    ['{egress: {shaping: {rate: null, ceil: null}}}', { mode: 'cgroup' }],
    ['{egress: {shaping: {rate: 500kbit}}}', { mode: 'cgroup', shaping: { rateBitsPerSecond: 500_000 } }],
    [
      '{egress: {shaping: {rate: 1mbit, ceil: 1mbit}}}',
      { mode: 'cgroup', shaping: { rateBitsPerSecond: 1_000_000 } },
    ],
    [
      '{egress: {shaping: {rate: 1mbit, ceil: 2mbit}}}',
      { mode: 'cgroup', shaping: { rateBitsPerSecond: 1_000_000, ceilBitsPerSecond: 2_000_000 } },
    ],
  ];
  for (const [spec, expected] of settings) {
    test(spec, async () => {
      const { parts } = await read(egg(spec));
      assert.deepEqual(parts, [{ name: 'egg', restricts: true, rules: [], ...expected }]);
    });
  }

  test('status, and what else metadata has', async () => {
    const text = egg('{programType: tc}\nstatus: {ready: true}').replace(
      '{name: egg}',
      '{name: egg, uid: 1}',
    );
    assert.equal((await read(text)).parts.length, 1);
  });

  test('many ports, in rules of the same name', async () => {
    const odd = Array.from({ length: 40 }, (_, index) => `{port: ${2 * index + 1}}`).join(', ');
    const { parts } = await read(EGRESS(`commonNames: [.a.test], ports: [${odd}]`));
    assert.deepEqual(
      parts[0]?.rules.map(({ source, ports }) => [source, ports.length]),
      [16, 16, 8].map((length) => ['egg commonNames[0]', length]),
    );
  });
});

describe('readClusterEgg refuses', () => {
  const spec = 'a map with "programType", "ingress" and "egress" is legal';
  const port = 'a whole number from 1 to 65535 is legal';
  const rows: readonly (readonly [text: string, what: string])[] = [
    [egg('§[]'), `spec is a list: ${spec}`],
    [
      egg('{§programtype: tc}'),
      'spec has the unknown key "programtype", did you mean "programType"? "programType", "ingress" or "egress" is legal',
    ],
    [egg('{programType: §xdp}'), 'spec.programType is "xdp": "tc" or "cgroup" is legal'],
    [egg('{programType: §[tc]}'), 'spec.programType is a list: "tc" or "cgroup" is legal'],
    [egg('{ingress: §eth0}'), 'spec.ingress is "eth0": a map with "interfaceName" is legal'],
    [egg('{ingress: {§cidrs: []}}'), 'spec.ingress has the unknown key "cidrs": "interfaceName" is legal'],
    [
      egg('{egress: §[]}'),
      'spec.egress is a list: a map with "commonNames", "cidrs", "ports", "shaping" and "interfaceName" is legal',
    ],
    [
      EGRESS('§names: []'),
      'spec.egress has the unknown key "names": "interfaceName", "podSelector", "ports", "commonNames", "cidrs" or "shaping" is legal',
    ],
    [EGRESS('interfaceName: §1'), 'spec.egress.interfaceName is 1: the name of an interface is legal'],
    [EGRESS('interfaceName: §""'), 'spec.egress.interfaceName is empty: the name of an interface is legal'],
    [
      egg('{egress: {interfaceName: §eth0}}'),
      'spec.egress.interfaceName is legal with "programType: tc" only, and "cgroup" is what an absent one means',
    ],
    [
      egg('{programType: cgroup, ingress: {interfaceName: §eth0}}'),
      'spec.ingress.interfaceName is legal with "programType: tc" only, and "cgroup" is what an absent one means',
    ],
    [EGRESS('commonNames: §a.test'), 'spec.egress.commonNames is "a.test": a list of names is legal'],
    [
      EGRESS('commonNames: [§[a.test]]'),
      'spec.egress.commonNames[0] is a list: a name such as .example.com is legal',
    ],
    [
      EGRESS('commonNames: [§null]'),
      'spec.egress.commonNames[0] is nothing: a name such as .example.com is legal',
    ],
    [
      EGRESS('commonNames: [§"*.a.test"]'),
      'spec.egress.commonNames[0]: suffix "*.a.test" has a "*", legal in -name and "names" only: a suffix such as .example.com means every name under example.com',
    ],
    [EGRESS('cidrs: §{}'), 'spec.egress.cidrs is a map: a list of prefixes is legal'],
    [EGRESS('cidrs: [§10]'), 'spec.egress.cidrs[0] is 10: a prefix such as 192.0.2.0/24 is legal'],
    [
      EGRESS('cidrs: [§10.0.0.0/99]'),
      'spec.egress.cidrs[0]: prefix "10.0.0.0/99" has the length "99": 0 to 32 is legal',
    ],
    [
      EGRESS('cidrs: [§{ports: []}]'),
      'spec.egress.cidrs[0] has no "cidr": a prefix such as 192.0.2.0/24 is legal',
    ],
    [
      EGRESS('cidrs: [{cidr: 10.0.0.0/8, §except: []}]'),
      'spec.egress.cidrs[0] has the unknown key "except": "cidr" or "ports" is legal',
    ],
    [
      EGRESS('cidrs: [{cidr: 10.0.0.0/8, ports: §[{port: 1}]}], ports: [{port: 2}]'),
      'spec.egress.cidrs[0].ports stands beside the "ports" of all: ports of one of both are legal',
    ],
    [EGRESS('ports: §80'), 'spec.egress.ports is 80: a list of ports is legal'],
    [EGRESS('ports: [§80]'), 'spec.egress.ports[0] is 80: a map with "port" and "protocol" is legal'],
    [EGRESS('ports: [§null]'), 'spec.egress.ports[0] is nothing: a map with "port" and "protocol" is legal'],
    [
      EGRESS('ports: [§{protocol: TCP}]'),
      'spec.egress.ports[0] has no "port": a number from 1 to 65535 is legal',
    ],
    [EGRESS('ports: [{port: §0}]'), `spec.egress.ports[0].port is 0: ${port}`],
    [EGRESS('ports: [{port: §http}]'), `spec.egress.ports[0].port is "http": ${port}`],
    [
      EGRESS('ports: [{port: 80, protocol: §ICMP}]'),
      'spec.egress.ports[0].protocol is "ICMP": "TCP", "UDP" or "SCTP" is legal',
    ],
    [
      EGRESS('ports: [{port: 80, §endPort: 90}]'),
      'spec.egress.ports[0] has the unknown key "endPort": "protocol" or "port" is legal',
    ],
    [EGRESS('shaping: §1mbit'), 'spec.egress.shaping is "1mbit": a map with "rate" and "ceil" is legal'],
    [
      EGRESS('shaping: {§burst: 1mbit}'),
      'spec.egress.shaping has the unknown key "burst": "rate" or "ceil" is legal',
    ],
    [EGRESS('shaping: {rate: §1}'), 'spec.egress.shaping.rate is 1: a rate such as 1mbit is legal'],
    [
      EGRESS('shaping: {rate: §1mb}'),
      'spec.egress.shaping.rate: rate "1mb" is not a rate: a number and bit, kbit, mbit or gbit is legal, such as 500kbit',
    ],
    [
      EGRESS('shaping: {ceil: §1mbit}'),
      'spec.egress.shaping.ceil has no "rate" beside it: a rate such as 1mbit is legal',
    ],
    [
      EGRESS('shaping: {rate: 2mbit, ceil: §1mbit}'),
      'spec.egress.shaping.ceil: ceil "1mbit" is less than rate "2mbit": as much or more is legal',
    ],
    [
      EGRESS('podSelector: §{matchLabels: {app: tester}}'),
      'spec.egress.podSelector chooses pods by labels, and of the subject none are known: -label says them; -lenient leaves it out',
    ],
    [
      EGRESS('commonNames: [a.test], §commonNames: []'),
      'the key "commonNames" stands twice in a map: once is legal',
    ],
    ['§apiVersion: maciekleks.dev/v1alpha1\nkind: ClusterEgg\n', `the document has no "spec": ${spec}`],
  ];
  for (const [text, what] of rows) {
    test(`${text.split('\n')[3] || text} → ${what}`, async () => {
      assert.deepEqual(await errorsOf(text), atMarks(text, what));
    });
  }
});

test('readClusterEgg says which prefix it masked', async () => {
  const text = EGRESS('cidrs: [§10.0.2.5/24]');
  const what =
    'spec.egress.cidrs[0]: prefix "10.0.2.5/24" has bits set past its length: taken as "10.0.2.0/24"';
  assert.deepEqual((await read(text)).remarks, atMarks(text, what));
});

test('readClusterEgg makes a part that is left out when its pods can not be known, with -lenient', async () => {
  const { parts, remarks } = await read(DOCUMENTED, { lenient: true });
  assert.deepEqual(
    parts.map(({ rules, restricts, isLeftOut }) => [rules, restricts, isLeftOut]),
    [[[], false, true]],
  );
  assert.equal(remarks.length, 1);
});
