import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { atMarks, errorsOf, type Reading, read, verdict } from './kube-reading.ts';

const NET: Reading = { networks: ['default/macvlan1'] };
const SERVER: Reading = { ...NET, labels: new Map([['name', 'pod-server']]) };
const LENIENT: Reading = { ...SERVER, lenient: true };
const FOR = 'k8s.v1.cni.cncf.io/policy-for';

function policy(spec: string, name = 'mnp', annotations = `{${FOR}: default/macvlan1}`, version = 'v1beta1') {
  const metadata = `{name: ${name}, namespace: test, annotations: ${annotations}}`;
  return `apiVersion: k8s.cni.cncf.io/${version}\nkind: MultiNetworkPolicy\nmetadata: ${metadata}\nspec: ${spec}\n`;
}

function forNetworks(networks: string): string {
  return policy('{policyTypes: [Egress]}', 'mnp', `{${FOR}: ${networks}}`);
}

const ON_SERVER = (egress: string, more = 'policyTypes: [Egress], ') =>
  `{podSelector: {matchLabels: {name: pod-server}}, ${more}egress: ${egress}}`;
const BLOCK = (cidr: string) => `{ipBlock: {cidr: ${cidr}}}`;
const TWO_PEERS = policy(ON_SERVER(`[{to: [${BLOCK('2.2.5.11/32')}, ${BLOCK('2.2.5.12/32')}]}]`));
const TWO_RULES = policy(ON_SERVER(`[{to: [${BLOCK('2.2.5.11/32')}]}, {to: [${BLOCK('2.2.5.12/32')}]}]`));
const STACKED = [11, 12]
  .map((host) => policy(ON_SERVER(`[{to: [${BLOCK(`2.2.5.${host}/32`)}]}]`), `mnp-${host}`))
  .join('---\n');
const EXCEPT = policy(
  ON_SERVER('[{to: [{ipBlock: {cidr: 2.2.8.0/24, except: [2.2.8.13/32, 2.2.8.14/32]}}]}]'),
);
const RANGE = policy(ON_SERVER('[{ports: [{port: 5000, endPort: 5900}]}]'));
const TCP_ONLY = policy(ON_SERVER('[{ports: [{protocol: TCP}]}]'));
const SPECIFIC = policy(
  ON_SERVER(`[{to: [${BLOCK('2.2.9.11/32')}], ports: [{port: 80, protocol: TCP}]}]`),
  'specific',
);
const ACCEPT_ALL = `${policy(ON_SERVER('[{to: []}]'), 'all')}---\n${SPECIFIC}`;
const DENY_ALL = `${policy(ON_SERVER('[]'), 'none')}---\n${SPECIFIC}`;
const DEFAULTED = policy(ON_SERVER(`[{to: [${BLOCK('2.2.5.11/32')}]}]`, ''));
const OF_PODS = policy(ON_SERVER('[{to: [{podSelector: {matchLabels: {name: pod-client-a}}}]}]'));
const OF_NO_POD = policy(
  ON_SERVER(
    '[{to: [{podSelector: {matchLabels: {nonexistent: label}}}], ports: [{port: 5555, protocol: TCP}]}]',
  ),
);
const BOTH_EXCEPT = policy(
  ON_SERVER('[{to: [{ipBlock: {cidr: 2.2.0.0/16, except: [2.2.8.0/24]}}, {ipBlock: {cidr: 2.2.8.0/25}}]}]'),
);

/* After the end-to-end tests of multi-networkpolicy-iptables and -nftables, with addresses in place of pods. */
describe('readMultiNetworkPolicy lets pass', () => {
  const rows: readonly (readonly [
    name: string,
    text: string,
    target: string,
    expected: string,
    reading?: Reading,
  ])[] = [
    ['simple-v4-egress', DEFAULTED, '2.2.5.11:5555', 'allow mnp egress[0]'],
    ['simple-v4-egress', DEFAULTED, '2.2.5.12:5555', 'deny'],
    [
      'simple-v4-egress',
      DEFAULTED,
      '2.2.5.12:5555',
      'open',
      { ...NET, labels: new Map([['name', 'pod-client-a']]) },
    ],
    ['simple-v4-egress', OF_PODS, '2.2.5.11:5555', 'deny', LENIENT],
    ['simple-v4-egress-list', TWO_RULES, '2.2.5.11:5555', 'allow mnp egress[0]'],
    ['simple-v4-egress-list', TWO_RULES, '2.2.5.12:5555', 'allow mnp egress[1]'],
    ['simple-v4-egress-list', TWO_RULES, '2.2.5.13:5555', 'deny'],
    ['ipblock', TWO_PEERS, '2.2.5.11:5555', 'allow mnp egress[0]'],
    ['ipblock', TWO_PEERS, '2.2.5.12:5555', 'allow mnp egress[0]'],
    ['ipblock', TWO_PEERS, '2.2.5.13:5555', 'deny'],
    ['ipblock-stacked', STACKED, '2.2.5.11:5555', 'allow mnp-11 egress[0]'],
    ['ipblock-stacked', STACKED, '2.2.5.12:5555', 'allow mnp-12 egress[0]'],
    ['ipblock-stacked', STACKED, '2.2.5.13:5555', 'deny'],
    ['advanced-ipblock', EXCEPT, '2.2.8.11:5555', 'allow mnp egress[0]'],
    ['advanced-ipblock', EXCEPT, '2.2.8.13:5555', 'deny'],
    ['advanced-ipblock', EXCEPT, '2.2.8.14:5555', 'deny'],
    ['advanced-ipblock', EXCEPT, '2.2.8.20:5555', 'allow mnp egress[0]'],
    ['advanced-ipblock', EXCEPT, '2.2.9.1:5555', 'deny'],
    ['an exception binds its own block', BOTH_EXCEPT, '2.2.8.1:5555', 'allow mnp egress[0]'],
    ['an exception binds its own block', BOTH_EXCEPT, '2.2.8.200:5555', 'deny'],
    ['port-range', RANGE, '2.2.6.1:5555', 'allow mnp egress[0]'],
    ['port-range', RANGE, '2.2.6.1:5000', 'allow mnp egress[0]'],
    ['port-range', RANGE, '2.2.6.1:5900', 'allow mnp egress[0]'],
    ['port-range', RANGE, '2.2.6.1:6666', 'deny'],
    ['protocol-only-ports', TCP_ONLY, '2.2.6.1:5555', 'allow mnp egress[0]'],
    ['protocol-only-ports', TCP_ONLY, '2.2.6.1:6666/udp', 'deny'],
    ['accept-all-with-specific-allow', ACCEPT_ALL, '2.2.9.11:80', 'allow all egress[0]'],
    ['accept-all-with-specific-allow', ACCEPT_ALL, '2.2.9.12:8080', 'allow all egress[0]'],
    ['deny-all-with-specific-allow', DENY_ALL, '2.2.9.11:80', 'allow specific egress[0]'],
    ['deny-all-with-specific-allow', DENY_ALL, '2.2.9.11:8080', 'deny'],
    ['deny-all-with-specific-allow', DENY_ALL, '2.2.9.12:80', 'deny'],
    ['edge-cases-validation', OF_NO_POD, '2.2.9.11:5555', 'deny', LENIENT],
    ['edge-cases-validation', OF_NO_POD, '2.2.9.11:9999', 'deny', LENIENT],
    ['no policy types, no rules', policy(ON_SERVER('[]', '')), '2.2.9.11:80', 'open'],
    ['no policy types, null', policy(ON_SERVER('null', '')), '2.2.9.11:80', 'open'],
    ['Egress, null', policy(ON_SERVER('null')), '2.2.9.11:80', 'deny'],
    ['Ingress only', policy(ON_SERVER('[]', 'policyTypes: [Ingress], ')), '2.2.9.11:80', 'open'],
    ['a rule of nothing', policy(ON_SERVER('[{}]')), '2.2.9.11:80', 'allow mnp egress[0]'],
    [
      'a rule of nulls',
      policy(ON_SERVER('[{to: null, ports: null}]')),
      '2.2.9.11 icmp',
      'allow mnp egress[0]',
    ],
    [
      'v1beta2',
      policy(ON_SERVER('[{ports: [{port: 1, endPort: 9}]}]'), 'two', undefined, 'v1beta2'),
      '2.2.9.11:9',
      'allow two egress[0]',
    ],
  ];
  for (const [name, text, target, expected, reading = SERVER] of rows) {
    test(`${name}: ${target} → ${expected}`, async () => {
      assert.equal(verdict((await read(text, reading)).parts, target), expected);
    });
  }
});

describe('readMultiNetworkPolicy is for', () => {
  const rows: readonly (readonly [annotation: string, networks: readonly string[], isFor: boolean])[] = [
    ['default/macvlan1', ['default/macvlan1'], true],
    ['default/macvlan1', ['other/macvlan1'], false],
    ['default/macvlan1', ['macvlan1'], true],
    ['default/macvlan1', ['vlan1'], false],
    ['default/macvlan1', ['default'], false],
    ['default/macvlan1', [], false],
    ['macvlan1', ['test/macvlan1'], true],
    ['macvlan1', ['default/macvlan1'], false],
    ['macvlan1', ['macvlan1'], true],
    ['"macvlan2, default/macvlan1 ,x"', ['default/macvlan1'], true],
    ['"macvlan2,macvlan3"', ['test/macvlan1', 'test/macvlan3'], true],
    ['"macvlan2,macvlan3"', ['test/macvlan1', 'test/macvlan4'], false],
    ['"macvlan2,,macvlan3, "', ['test/macvlan3'], true],
  ];
  for (const [annotation, networks, isFor] of rows) {
    test(`${annotation} at ${networks.join(' ') || 'none'}: ${isFor}`, async () => {
      const { parts } = await read(forNetworks(annotation), { networks });
      assert.equal(parts.length, isFor ? 1 : 0);
    });
  }

  test('its own namespace, which is "default" when it names none', async () => {
    const text = forNetworks('macvlan1').replace(', namespace: test', '');
    assert.equal((await read(text, { networks: ['default/macvlan1'] })).parts.length, 1);
    assert.equal((await read(text, { networks: ['test/macvlan1'] })).parts.length, 0);
  });

  test('others, and then may have what is not enforced', async () => {
    assert.deepEqual((await read(OF_PODS, { ...SERVER, networks: ['default/macvlan2'] })).parts, []);
    assert.equal((await errorsOf(OF_PODS, SERVER)).length, 1);
  });
});

describe('readMultiNetworkPolicy refuses', () => {
  const legal = 'names of networks, NAME or NAMESPACE/NAME with commas between them, are legal';
  const path = `metadata.annotations.${FOR}`;
  const rows: readonly (readonly [text: string, what: string, reading?: Reading])[] = [
    [forNetworks('§a/b/c'), `${path} has the network "a/b/c": ${legal}`],
    [forNetworks('§" ,"'), `${path} has the network " ,": ${legal}`],
    [forNetworks('§""'), `${path} has the network "": ${legal}`],
    [forNetworks('§"/b"'), `${path} has the network "/b": ${legal}`],
    [forNetworks('§"a b"'), `${path} has the network "a b": ${legal}`],
    [forNetworks('§[a]'), `${path} is a list: ${legal}`],
    [forNetworks('§1'), `${path} is 1: ${legal}`],
    [policy('{}', 'mnp', '§[a]'), 'metadata.annotations is a list: a map of annotations is legal'],
    [
      forNetworks('§a'),
      `${path} is for the networks test/a: -network says which ones the controlled interface is of; -lenient leaves it out`,
      {},
    ],
    [
      policy('{egress: [{ports: [{protocol: §ANY}]}]}'),
      'spec.egress[0].ports[0].protocol is "ANY": "TCP", "UDP" or "SCTP" is legal',
    ],
    [
      policy('{policyTypes: [Egress]}', 'mnp', `{§${FOR}: a, ${FOR}: b}`).replace(/§(.*), /u, '$1, §'),
      'the key "k8s.v1.cni.cncf.io/policy-for" stands twice in a map: once is legal',
    ],
  ];
  for (const [text, what, reading = NET] of rows) {
    test(`${text.split('\n')[2]} → ${what}`, async () => {
      assert.deepEqual(await errorsOf(text, reading), atMarks(text, what));
    });
  }
});

describe('readMultiNetworkPolicy remarks on', () => {
  const none = `the document has no annotation "${FOR}", so it is for no network: not used`;
  const rows: readonly (readonly [text: string, what: string, reading?: Reading])[] = [
    [`§${policy('{policyTypes: [Egress]}', 'mnp', '{}')}`, none],
    [`§${policy('{policyTypes: [Egress]}', 'mnp', 'null')}`, none],
    [`§${policy('{policyTypes: [Egress]}', 'mnp', `{${FOR}: null}`)}`, none],
    [
      forNetworks('§"b, c"'),
      `metadata.annotations.${FOR} is for the networks test/b, test/c, none of which -network names: not used`,
    ],
    [
      forNetworks('§b'),
      `metadata.annotations.${FOR} is for the networks test/b: -network says which ones the controlled interface is of: left out`,
      { lenient: true },
    ],
  ];
  for (const [text, what, reading = NET] of rows) {
    test(`${text.split('\n')[2]} → ${what}`, async () => {
      const { parts, remarks } = await read(text, reading);
      assert.deepEqual(
        parts.filter(({ isLeftOut }) => !isLeftOut),
        [],
      );
      assert.deepEqual(remarks, atMarks(text, what));
    });
  }
});
