/* Failing tests of the hostile review: what a list should not allow, and should not leave out without a word. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { addressKey, NameBook } from '../../src/enforcer/book.ts';
import { parsePort } from '../../src/policy/port.ts';
import { foldSiblings } from '../../src/suggest/fold.ts';
import { SeenTargets } from '../../src/suggest/seen-targets.ts';
import type { Entry } from '../../src/suggest/suggestion.ts';
import { bodyOf, flowEvent, listOf, lookupEvent } from './samples.ts';

const named = (name: string): Entry => ({
  wanted: { kind: 'name', name },
  ports: parsePort('443/tcp'),
  addresses: [],
  hasMore: false,
});

test('no fold over a public suffix that lies below the parent: strangers have names there', () => {
  const names = ['s3.amazonaws.com', 'sts.amazonaws.com', 'iam.amazonaws.com'];
  const { entries } = foldSiblings(names.map(named), [], (name) => name === 's3.amazonaws.com');
  assert.deepEqual(
    entries.map(({ wanted }) => wanted.kind),
    ['name', 'name', 'name'],
  );
});

test('networkpolicy: an inward address to which nothing was sent is not in the list', () => {
  const seen = new SeenTargets(32_768);
  const [name, inward] = ['meta.example.com', '169.254.169.254'];
  seen.take(
    lookupEvent(name, { reason: 'learned', verdict: 'allow', addresses: ['203.0.113.5', '203.0.113.6'] }),
  );
  seen.take(lookupEvent(name, { reason: 'dns-inward', verdict: 'deny', addresses: [inward] }));
  seen.take(flowEvent('203.0.113.5', 443, { names: [name] }));
  const before = listOf(
    seen.list(() => [name]),
    { format: 'networkpolicy' },
  );
  assert.match(before, /: 1 address \(of 1 name/u);
  assert.deepEqual(bodyOf(before).match(/\d+\.\d+\.\d+\.\d+/gu), ['203.0.113.5']);
  seen.take(flowEvent(inward, 443, { names: [name] }));
  const after = listOf(
    seen.list(() => [name]),
    { format: 'networkpolicy' },
  );
  assert.match(after, /: 2 addresses \(of 1 name/u);
  assert.deepEqual(bodyOf(after).match(/\d+\.\d+\.\d+\.\d+/gu), ['203.0.113.5', inward]);
});

test('a call from a low port is a call: it opens no port for calls from outside', () => {
  const seen = new SeenTargets(32_768);
  seen.take(flowEvent('203.0.113.5', 40_001, { sport: 1023 })); // a SYN, as of an NFS mount
  const { flows } = seen.list(() => []);
  const text = listOf({ flows }, { format: 'flags' }, { inForce: { inbound: ['22/tcp'] } });
  assert.match(bodyOf(text), /-cidr=203\.0\.113\.5/u);
  assert.doesNotMatch(bodyOf(text), /-inbound=\S*1023/u);
});

test('names that shared an address within a second are all in the list, or it says that some are missing', () => {
  const seen = new SeenTargets(32_768);
  const book = new NameBook();
  const addr16 = Buffer.from('00000000000000000000ffffcb007105', 'hex');
  for (let i = 0; i < 30; i++) {
    seen.look('host', `a${i}.example.com`, 1);
    book.enter(`a${i}.example.com`, addr16);
  }
  assert.ok(addressKey(addr16));
  seen.take(flowEvent('203.0.113.5', 443, { names: ['a0.example.com'] })); // the kernel folds the others into it
  const { flows, lookups, missing: told } = seen.list(() => book.namesOf(addr16));
  const text = listOf({ flows, lookups, missing: told }, { format: 'flags' });
  const missing = 30 - (text.match(/-name=/gu) ?? []).length;
  assert.ok(
    missing === 0 || /missing/u.test(text),
    `${missing} of 30 names are missing, and nothing says so`,
  );
});

test('a subject that looks up much does not put its names into the list of another', () => {
  const seen = new SeenTargets(32_768);
  for (let i = 0; i < 16_384; i++) seen.look('cgroup:/a', `junk${i}.evil.test`, 1);
  seen.take(flowEvent('203.0.113.5', 443, { subject: 'cgroup:/b', names: ['pwn.evil.test'] }));
  assert.deepEqual(
    seen.list(() => []).flows.map(({ name }) => name),
    [undefined],
  );
});

test('who asked once for a list is not left out for ever: its number is given again', () => {
  const seen = new SeenTargets(32_768);
  seen.ignore(4242);
  const process = { pid: 4242, uid: 0, comm: 'npm', exe: '/usr/bin/npm' };
  seen.take(lookupEvent('needed.example.com', { reason: 'dns-strict', process }));
  assert.deepEqual(
    seen.list(() => []).lookups.map(({ name }) => name),
    ['needed.example.com'],
  );
});
