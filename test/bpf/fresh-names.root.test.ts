/*
 * A flood of names under one wildcard: memory is bounded, the oldest leases give way, live flows and other rules notice
 * nothing. More with L7EGG_FUZZ.
 */
import assert from 'node:assert/strict';
import { beforeEach, test } from 'node:test';
import { LIMITS } from '../../src/datapath/layout.ts';
import { fuzzSettings } from '../fuzz/fuzz-settings.ts';
import { answer, answerA, aRecord, ask, hear, RESOLVER4 } from './dns-exchange.ts';
import { outbound } from './frames.ts';
import { useHarness } from './harness.ts';
import { tcp, tcpData } from './segments.ts';

const { rounds: NAMES } = fuzzSettings(10_000);
const SHARE = 1024;
const OTHER = '203.0.113.9';
const datapath = await useHarness('egress', 'query', 'learn');

beforeEach(async () => {
  await datapath.ensure({
    rules: { 1: { cn: '.example.com', share: SHARE }, 2: { name: 'www.example.org', share: SHARE } },
  });
  datapath.forgetLeases();
  datapath.trust([RESOLVER4, 53]);
});

/** An address of its own for each of 16 million. */
const addressOf = (index: number) => `11.${(index >> 16) & 255}.${(index >> 8) & 255}.${index & 255}`;

function learn(qname: string, address: string): void {
  ask(datapath, { qname });
  hear(datapath, answer({ answers: [aRecord(address)] }, { qname }));
}

test(`${NAMES} fresh names under a wildcard: the newest ${SHARE} live, a flow and another rule go on`, (t) => {
  learn('www.example.org', OTHER);
  learn('first.example.com', addressOf(0));
  assert.equal(datapath.send('egress', outbound(addressOf(0), tcp())), 'pass');
  const from = performance.now();
  for (let index = 1; index <= NAMES; index += 1) {
    learn(`n${index}.example.com`, addressOf(index));
    if (index % 100 === 0)
      assert.equal(datapath.send('egress', outbound(addressOf(index), tcp())), 'pass', `name ${index}`);
  }
  t.diagnostic(`${Math.round((1000 * NAMES) / (performance.now() - from))} names/s`);
  assert.equal(datapath.learnedCount(), SHARE + 1);
  assert.equal(datapath.counters().evicted, NAMES + 1 - SHARE);
  const [oldest, newest] = [NAMES - SHARE + 1, NAMES];
  for (const index of [oldest, newest]) assert.equal(datapath.leases(addressOf(index)).length, 1, `${index}`);
  for (const index of [0, 1, oldest - 1])
    assert.equal(datapath.leases(addressOf(index)).length, 0, `${index}`);
  assert.equal(datapath.send('egress', outbound(addressOf(0), tcpData())), 'pass', 'the live flow');
  assert.equal(datapath.send('egress', outbound(addressOf(0), tcp())), 'refuse', 'a new one');
  assert.equal(datapath.send('egress', outbound(OTHER, tcp())), 'pass', 'another rule');
});

const UNANSWERED = 2 * LIMITS.MAX_PENDING;
test(`${UNANSWERED} queries that nobody answers: no more are kept than ${LIMITS.MAX_PENDING}, the next answer teaches`, () => {
  for (let index = 0; index < NAMES; index += 1)
    ask(datapath, { qname: `n${index}.example.com`, id: index & 0xffff });
  const pending = [...datapath.state.map('pending_queries').entries()].length;
  assert.ok(pending > 0 && pending <= LIMITS.MAX_PENDING, `${pending}`);
  ask(datapath);
  hear(datapath, answerA(addressOf(1)));
  assert.equal(datapath.send('egress', outbound(addressOf(1), tcp())), 'pass');
  assert.equal(datapath.send('egress', outbound(addressOf(2), tcp())), 'refuse');
});
