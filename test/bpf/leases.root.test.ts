import assert from 'node:assert/strict';
import { beforeEach, test } from 'node:test';
import { HOST_POLICY } from '../../src/datapath/compile.ts';
import { fillSlot } from '../../src/datapath/fill-slot.ts';
import { settleRecords, sharesOf } from '../../src/datapath/lease-shares.ts';
import {
  addRuleStates,
  applyPolicy,
  freeIdleSlot,
  idleSlot,
  switchSlot,
} from '../../src/datapath/policy-slot.ts';
import { readWide } from '../../src/datapath/struct.ts';
import { prune } from '../../src/datapath/teacher.ts';
import { leaseSeconds } from '../../src/dns/lease.ts';
import { parseAddress } from '../../src/policy/prefix.ts';
import { name, record } from '../dns/raw-message.ts';
import { answer, answerA, aRecord, ask, CNAME, hear, QUERIED, RESOLVER4 } from './dns-exchange.ts';
import { outbound } from './frames.ts';
import { useHarness } from './harness.ts';
import { compile, type PolicySpec } from './policy-builder.ts';
import { tcp } from './segments.ts';

const SHARE = 64;
const POLICY: PolicySpec = {
  rules: {
    1: { cn: '.example.com', share: SHARE },
    2: { name: 'www.example.org', share: SHARE },
    3: { cn: '.example.net', share: 1 },
  },
};
const datapath = await useHarness('egress', 'query', 'learn');

beforeEach(async () => {
  await datapath.ensure(POLICY);
  datapath.forgetLeases();
  datapath.trust([RESOLVER4, 53]);
});

const HOST = '198.51.100.7';

function learn(qname: string, ttl: number, ...addresses: readonly string[]): void {
  ask(datapath, { qname });
  hear(datapath, answer({ answers: addresses.map((address) => aRecord(address, { ttl })) }, { qname }));
}

const TTLS: readonly (readonly [ttl: number, seconds: number])[] = [
  [0, 90],
  [1, 90],
  [59, 90],
  [60, 90],
  [61, 91],
  [3600, 3630],
  [86_400, 86_430],
  [86_401, 86_430],
  [0x7fffffff, 86_430],
  [0x80000000, 86_430],
  [0xffffffff, 86_430],
];
for (const [ttl, seconds] of TTLS) {
  test(`a TTL of ${ttl} is a lease of ${seconds} s`, () => {
    assert.equal(leaseSeconds(ttl), seconds);
    learn('www.example.com', ttl, HOST);
    const [lease] = datapath.leases(HOST);
    // The clock may turn to the next second between the two readings.
    assert.ok(lease && seconds - lease.seconds <= 1 && lease.seconds <= seconds, `${lease?.seconds} s`);
  });
}

test('a TTL that goes down does not shorten the lease, one that goes up renews it', () => {
  const left = () => datapath.leases(HOST)[0]?.seconds ?? 0;
  learn('www.example.com', 1000, HOST);
  learn('www.example.com', 0, HOST);
  assert.ok(left() >= 1029, `${left()} s`);
  learn('www.example.com', 2000, HOST);
  assert.ok(left() >= 2029, `${left()} s`);
});

test('each rule has its own lease on a shared address', () => {
  learn('www.example.com', 100, HOST);
  learn('www.example.org', 1000, HOST);
  const [first, second] = datapath.leases(HOST);
  assert.deepEqual([first?.rule, second?.rule], [1, 2]);
  assert.ok((second?.seconds ?? 0) - (first?.seconds ?? 0) > 890);
});

test('the first packet after the answer passes, in the same breath', () => {
  for (let index = 0; index < 50; index += 1) {
    const address = `203.0.113.${index}`;
    assert.equal(datapath.send('egress', outbound(address, tcp())), 'refuse');
    learn('www.example.com', 60, address);
    assert.equal(datapath.send('egress', outbound(address, tcp())), 'pass');
  }
});

test(`200 addresses under a rule with a share of ${SHARE}: that many live, the rest evicted, others untouched`, () => {
  learn('www.example.org', 300, HOST, '203.0.113.1');
  const addresses = Array.from({ length: 200 }, (_, index) => `198.51.101.${index}`);
  for (const address of addresses) {
    learn(`n${address.split('.')[3]}.example.com`, 300, address);
    assert.ok(datapath.leases(address).length === 1, `${address} was not learned`);
  }
  const live = addresses.filter((address) => datapath.leases(address).length > 0);
  assert.equal(live.length, SHARE);
  assert.equal(datapath.learnedCount(), SHARE + 2);
  assert.deepEqual(
    [HOST, '203.0.113.1'].map((address) => datapath.leases(address).map(({ rule }) => rule)),
    [[2], [2]],
  );
  assert.equal(datapath.counters().evicted, 200 - SHARE);
  assert.equal(evictedOf(1), 200 - SHARE);
  assert.equal(evictedOf(2), 0);
});

test('1,000 addresses of one name in answers of 100: the share holds', () => {
  for (let at = 0; at < 10; at += 1) {
    learn(
      'www.example.com',
      300,
      ...Array.from({ length: 100 }, (_, index) => `198.51.${100 + at}.${index}`),
    );
  }
  assert.equal(datapath.learnedCount(), SHARE);
});

test('a share of one holds the newest address', () => {
  for (const address of ['203.0.113.1', '203.0.113.2', '203.0.113.3']) learn('www.example.net', 300, address);
  assert.equal(datapath.learnedCount(), 1);
  assert.equal(datapath.leases('203.0.113.3').length, 1);
});

test('an eviction takes the lease of its own rule only', () => {
  learn('www.example.net', 300, HOST);
  learn('www.example.org', 300, HOST);
  learn('www.example.net', 300, '203.0.113.2');
  assert.deepEqual(
    datapath.leases(HOST).map(({ rule }) => rule),
    [2],
  );
});

test('a renewed lease takes no further place of the share', () => {
  for (let round = 0; round < 3 * SHARE; round += 1) learn('www.example.com', 300, HOST, '203.0.113.1');
  const others = Array.from({ length: SHARE - 2 }, (_, index) => `198.51.101.${index}`);
  learn('www.example.com', 300, ...others);
  assert.deepEqual([datapath.learnedCount(), datapath.counters().evicted ?? 0], [SHARE, 0]);
});

test('leases that have ended give way first and are no eviction', () => {
  learn('www.example.com', 300, ...Array.from({ length: SHARE }, (_, index) => `198.51.101.${index}`));
  datapath.endLeases();
  learn('www.example.com', 300, ...Array.from({ length: SHARE }, (_, index) => `198.51.102.${index}`));
  assert.equal(datapath.counters().evicted ?? 0, 0);
  assert.equal(datapath.learnedCount(), SHARE);
});

test('a name whose two addresses come back when their leases are over keeps both, for ever', () => {
  for (let round = 0; round < 3 * SHARE; round += 1) {
    learn('www.example.com', 300, HOST, '203.0.113.1');
    const held = [HOST, '203.0.113.1'].map((address) => datapath.leases(address).length);
    assert.deepEqual(held, [1, 1], `round ${round}`);
    datapath.endLeases();
    prune(datapath.state, HOST_POLICY, [HOST, '203.0.113.1'].map(parseAddress));
  }
  assert.equal(datapath.counters().evicted ?? 0, 0);
});

test('pruning deletes what has ended of rules that are gone, and nothing else', async () => {
  const held = () => [HOST, '203.0.113.1', '203.0.113.2'].map((address) => datapath.leases(address).length);
  const pruneAll = () =>
    prune(
      datapath.state,
      HOST_POLICY,
      [HOST, '203.0.113.1', '203.0.113.2', '203.0.113.99'].map(parseAddress),
    );
  learn('www.example.com', 300, HOST);
  learn('www.example.org', 300, '203.0.113.1');
  datapath.endLeases();
  learn('www.example.com', 300, '203.0.113.2');
  pruneAll();
  assert.deepEqual(held(), [1, 1, 1]);
  // Without what the enforcer does after it: the leases of rules that are gone are still there.
  const without = compile({ rules: { 2: { name: 'www.example.org', share: SHARE } } }, datapath.shares);
  await applyPolicy(datapath.state, without);
  datapath.shares = sharesOf(without.rules);
  pruneAll();
  assert.deepEqual(held(), [0, 1, 1]);
  datapath.endLeases();
  pruneAll();
  assert.deepEqual(held(), [0, 1, 0]);
  learn('www.example.org', 300, '203.0.113.1');
  assert.equal(datapath.send('egress', outbound('203.0.113.1', tcp())), 'pass');
  await datapath.apply(POLICY);
});

test('a name behind a CNAME is listed by the rules of the name, for the lease of the CNAME', async () => {
  const alias = (ttl: number) => record(QUERIED, CNAME, name('cdn.test'), { ttl });
  const forward = (address: string) => {
    ask(datapath, { qname: 'cdn.test', id: 9 });
    hear(datapath, answer({ answers: [aRecord(address)] }, { qname: 'cdn.test', id: 9 }));
    return datapath.leases(address).map(({ rule }) => rule);
  };
  assert.deepEqual(forward('203.0.113.1'), []);
  ask(datapath);
  hear(datapath, answer({ answers: [alias(300)] }));
  assert.deepEqual(forward('203.0.113.2'), [1]);
  await datapath.apply({ rules: { 2: { name: 'www.example.org' } } });
  assert.deepEqual(forward('203.0.113.3'), []);
  await datapath.apply(POLICY);
  datapath.rewrite('aliases', (value) => void value.writeUInt32LE(1, 0));
  assert.deepEqual(forward('203.0.113.4'), []);
});

test('an answer that teaches several addresses has a lease for each by its own TTL', () => {
  ask(datapath);
  hear(datapath, answer({ answers: [aRecord(HOST, { ttl: 100 }), aRecord('203.0.113.1', { ttl: 1000 })] }));
  const seconds = [HOST, '203.0.113.1'].map((address) => datapath.leases(address)[0]?.seconds ?? 0);
  assert.ok(seconds[0] && seconds[0] <= 130 && seconds[1] && seconds[1] >= 1029, JSON.stringify(seconds));
});

test('an address twice in one answer has the longer of its TTLs', () => {
  ask(datapath);
  hear(datapath, answer({ answers: [aRecord(HOST, { ttl: 1000 }), aRecord(HOST, { ttl: 100 })] }));
  assert.ok((datapath.leases(HOST)[0]?.seconds ?? 0) >= 1029);
  hear(datapath, answerA(HOST));
});

/** So many addresses of a net of their own. */
function addresses(net: string, count: number): string[] {
  return Array.from({ length: count }, (_, index) => `${net}.${index + 1}`);
}

/** How many of these addresses rule 5 holds. */
function heldBy5(all: readonly string[]): number {
  return all.filter((address) => datapath.leases(address).some(({ rule }) => rule === 5)).length;
}

const ALONE: PolicySpec = { rules: { 5: { cn: '.example.com', share: SHARE } } };
const SECOND: PolicySpec = {
  rules: { 1: { cn: '.example.net', share: SHARE }, 5: { cn: '.example.com', share: SHARE } },
};

test('a rule that comes in front takes no lease of an unchanged one, nor does one that goes', async () => {
  const [own, others] = [addresses('198.51.101', SHARE), addresses('198.51.102', SHARE)];
  await datapath.apply(ALONE);
  learn('www.example.com', 300, ...own);
  await datapath.apply(SECOND);
  learn('www.example.net', 300, ...others);
  assert.equal(heldBy5(own), SHARE);
  await datapath.apply(ALONE);
  assert.equal(heldBy5(own), SHARE);
  assert.equal(datapath.counters().evicted ?? 0, 0);
});

test('moved leases give way to newer ones, one for one', async () => {
  const own = addresses('198.51.101', SHARE);
  await datapath.apply(ALONE);
  learn('www.example.com', 300, ...own);
  await datapath.apply(SECOND);
  const later = addresses('198.51.102', SHARE);
  learn('www.example.com', 600, ...later.slice(0, 10));
  assert.deepEqual([heldBy5(own), heldBy5(later)], [SHARE - 10, 10]);
  learn('www.example.com', 600, ...later.slice(10));
  assert.deepEqual([heldBy5(own), heldBy5(later)], [0, SHARE]);
});

test('a share that is smaller now keeps its newest leases', async () => {
  const own = addresses('198.51.101', SHARE);
  await datapath.apply(ALONE);
  learn('www.example.com', 300, ...own);
  await datapath.apply({ rules: { 5: { cn: '.example.com', share: 16 } } });
  assert.deepEqual([heldBy5(own.slice(0, -16)), heldBy5(own.slice(-16))], [0, 16]);
  learn('www.example.com', 600, ...addresses('198.51.102', 16));
  assert.deepEqual([heldBy5(own), datapath.learnedCount()], [0, 16]);
});

test('what is learned while records move has a record, too', async () => {
  await datapath.apply(ALONE);
  learn('www.example.com', 300, HOST);
  const policy = compile(SECOND, datapath.shares);
  await fillSlot(datapath.state, idleSlot(datapath.state), policy);
  learn('www.example.com', 300, '203.0.113.1');
  await addRuleStates(datapath.state, policy.rules);
  switchSlot(datapath.state, policy);
  await freeIdleSlot(datapath.state);
  datapath.shares = sharesOf(policy.rules);
  settleRecords(datapath.state, datapath.shares);
  for (const net of ['198.51.101', '198.51.102']) learn('www.example.com', 600, ...addresses(net, SHARE));
  assert.deepEqual([datapath.learnedCount(), heldBy5([HOST, '203.0.113.1'])], [SHARE, 0]);
});

function evictedOf(rule: number): number {
  const key = Buffer.alloc(4);
  key.writeUInt32LE(rule);
  const value = datapath.state.map('rule_states').get(key) ?? assert.fail(`no state of rule ${rule}`);
  return Number(readWide(value, 'rule_state', 'evicted'));
}
