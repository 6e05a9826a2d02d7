import assert from 'node:assert/strict';
import { beforeEach, test } from 'node:test';
import { setOwnAddresses } from '../../src/datapath/host-facts.ts';
import { parseAddress } from '../../src/policy/prefix.ts';
import { record } from '../dns/raw-message.ts';
import { A, AAAA, answer, ask, hear, QUERIED, RESOLVER4 } from './dns-exchange.ts';
import { wireAddress } from './frames.ts';
import { useHarness } from './harness.ts';
import type { PolicySpec } from './policy-builder.ts';

const POLICY: PolicySpec = { rules: { 1: { cn: '.example.com' } } };
const datapath = await useHarness('query', 'learn');

beforeEach(async () => {
  await datapath.ensure(POLICY);
  datapath.trust([RESOLVER4, 53]);
});

/** Learns an answer with these addresses; which of them got a lease. */
function learn(...addresses: readonly string[]): string[] {
  const answers = addresses.map((address) => {
    const rdata = [...wireAddress(address)];
    return record(QUERIED, rdata.length === 4 ? A : AAAA, rdata);
  });
  ask(datapath);
  hear(datapath, answer({ answers }));
  return addresses.filter((address) => datapath.leases(address).length > 0);
}

/** The closed list of the design: first and last address of each, and the neighbours outside. */
const INWARD: readonly (readonly [prefix: string, inside: readonly string[], outside: readonly string[]])[] =
  [
    ['0/8', ['0.0.0.0', '0.255.255.255'], ['1.0.0.0']],
    ['10/8', ['10.0.0.0', '10.255.255.255'], ['9.255.255.255', '11.0.0.0']],
    ['100.64/10', ['100.64.0.0', '100.127.255.255'], ['100.63.255.255', '100.128.0.0']],
    ['127/8', ['127.0.0.0', '127.0.0.1', '127.255.255.255'], ['126.255.255.255', '128.0.0.0']],
    ['169.254/16', ['169.254.0.0', '169.254.169.254', '169.254.255.255'], ['169.253.255.255', '169.255.0.0']],
    ['172.16/12', ['172.16.0.0', '172.31.255.255'], ['172.15.255.255', '172.32.0.0']],
    ['192.168/16', ['192.168.0.0', '192.168.255.255'], ['192.167.255.255', '192.169.0.0']],
    ['224/3', ['224.0.0.0', '240.0.0.1', '255.255.255.255'], ['223.255.255.255']],
    ['::', ['::'], ['::2']],
    ['::1', ['::1'], ['::2']],
    ['::ffff/96', ['::ffff:192.0.2.1', '::ffff:10.0.0.1'], ['::fffe:0:1', '::1:0:0:1']],
    ['fe80::/10', ['fe80::', 'fe80::1', 'febf:ffff::1'], ['fe7f:ffff::1', 'fec0::1']],
    ['fc00::/7', ['fc00::1', 'fdff:ffff::1'], ['fbff::1', 'fe00::1']],
    ['ff00::/8', ['ff00::', 'ff02::1', 'ffff::1'], ['feff::1']],
    ['documentation prefixes', [], ['192.0.2.1', '198.51.100.1', '203.0.113.1', '198.18.0.1', '2001:db8::1']],
  ];

for (const [prefix, inside, outside] of INWARD) {
  test(`answers in ${prefix} are not learned, those around it are`, () => {
    assert.deepEqual(learn(...inside), []);
    assert.deepEqual(learn(...outside), outside);
  });
}

test('an inward record is skipped, the others of its answer count', () => {
  assert.deepEqual(learn('10.0.0.1', '198.51.100.7', 'fe80::1', '2001:db8::7'), [
    '198.51.100.7',
    '2001:db8::7',
  ]);
  const { inward, learned } = datapath.counters();
  assert.deepEqual([inward, learned], [2, 2]);
});

test('an answer with inward records only is told as such, with the first address', () => {
  learn('10.0.0.1', '10.0.0.2');
  const told = datapath.dnsEvents().map(({ verdict, reason, addresses }) => [verdict, reason, ...addresses]);
  assert.deepEqual(told, [['deny', 'dns-inward', parseAddress('10.0.0.1')]]);
});

test('an own address is inward while it is one', () => {
  const own = { ifindex: 1, address: parseAddress('198.51.100.7'), prefixLength: 24 };
  setOwnAddresses(datapath.state, [own]);
  assert.deepEqual(learn('198.51.100.7', '198.51.100.8'), ['198.51.100.8']);
  setOwnAddresses(datapath.state, []);
  assert.deepEqual(learn('198.51.100.7'), ['198.51.100.7']);
});

const ALL = ['10.0.0.1', '10.1.0.1', '127.0.0.1', 'fd00::1', '::1'];
const COVERED: readonly (readonly [what: string, policy: PolicySpec, taught: readonly string[]])[] = [
  ['a rule that takes private answers', { rules: { 1: { cn: '.example.com', privateAnswers: true } } }, ALL],
  ['a prefix rule', { rules: { ...POLICY.rules, 2: { cidr: '10.0.0.0/16' } } }, ['10.0.0.1']],
  ['a prefix rule for one address', { rules: { ...POLICY.rules, 2: { cidr: 'fd00::1' } } }, ['fd00::1']],
  ['a deny rule', { rules: { ...POLICY.rules, 2: { denyCidr: '10.0.0.0/16' } } }, []],
  ['all of IPv6', { rules: { ...POLICY.rules, 2: { cidr: '::/0' } } }, ['fd00::1', '::1']],
];
for (const [what, policy, taught] of COVERED) {
  test(`with ${what}, inward answers are learned: ${taught.join(', ') || 'none'}`, async () => {
    await datapath.apply(policy);
    assert.deepEqual(learn(...ALL), taught);
  });
}

test('of two rules only the one that takes private answers gets the lease', async () => {
  await datapath.apply({
    rules: { 1: { cn: '.example.com', privateAnswers: true }, 2: { name: 'www.example.com' } },
  });
  learn('10.0.0.1', '198.51.100.7');
  const rules = (address: string) => datapath.leases(address).map(({ rule }) => rule);
  assert.deepEqual([rules('10.0.0.1'), rules('198.51.100.7')], [[1], [1, 2]]);
});

test('v4-mapped is not learned even by a rule that takes private answers', async () => {
  await datapath.apply({ rules: { 1: { cn: '.example.com', privateAnswers: true } } });
  assert.deepEqual(learn('::ffff:198.51.100.9'), []);
});

test('what user space teaches is held against the same list', () => {
  datapath.teach([1], ['10.0.0.1', '198.51.100.7']);
  assert.deepEqual([datapath.leases('10.0.0.1').length, datapath.leases('198.51.100.7').length], [0, 1]);
});
