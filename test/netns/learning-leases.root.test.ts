/*
 * How long what was learned counts. test/lab/topology.ts, unbound on 192.0.2.53; web, and echo on port 7.
 * A lease lasts 90 s at least, so its end is written into the pinned map instead of waited for.
 */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { listLearned } from '../../src/datapath/learned.ts';
import { Pins } from '../../src/datapath/pins.ts';
import { openPinnedMaps } from '../../src/datapath/state.ts';
import { placeOf } from '../../src/datapath/struct.ts';
import { leaseSeconds } from '../../src/dns/lease.ts';
import { formatAddress } from '../../src/flow/address.ts';
import { bootTimeNs } from '../../src/libbpf/clock.ts';
import { mountBpffs } from '../../src/libbpf/mount.ts';
import { digShort } from '../lab/clients.ts';
import { addressRecords, type DnsRecord } from '../lab/records.ts';
import type { RecordResolver } from '../lab/resolver.ts';
import { startUnbound } from '../lab/resolvers.ts';
import { startTcpEcho, startUdpEcho, startWeb } from '../lab/servers.ts';
import { createLab, type Lab, RESOLVERS } from '../lab/topology.ts';
import { type RunningEnforcer, startEnforcer } from './enforcer.ts';
import { openEchoFlow } from './learning-flow.ts';
import { distinctRecords, isRefused, passes, webAddress } from './learning-lab.ts';

const [SERVER] = RESOLVERS;
const TTLS = [0, 1, 60, 600, 2 ** 31 - 1];
const MOVING = 'moving.listed.example';
const RECORDS: readonly DnsRecord[] = [
  ...distinctRecords(['tcp4.listed.example', 'tcp6.listed.example', 'udp.listed.example'], 1, 1),
  ...TTLS.flatMap((ttl, index) => distinctRecords([`ttl${ttl}.listed.example`], 11 + index, ttl)),
];

/** Seconds until the lease of `address` ends. */
function secondsLeft(instance: string, address: string): number {
  using state = openPinnedMaps(new Pins(instance));
  const learned = listLearned(state).find((each) => formatAddress(each.address) === address);
  assert.equal(learned?.leases.length, 1);
  return (learned?.leases[0]?.endsAt ?? 0) - Number(bootTimeNs() / 1_000_000_000n);
}

/** Makes the leases of `address` end a second ago. */
function endLeases(instance: string, address: string): void {
  using state = openPinnedMaps(new Pins(instance));
  const [at, size] = placeOf('leases', 'held');
  const map = state.map('learned');
  const found = [...map.entries()].find(([key]) => formatAddress(key.subarray(0, 16)) === address);
  assert.ok(found, `${address} was not learned`);
  const [key, value] = [Buffer.from(found[0]), Buffer.from(found[1])];
  const past = Number(bootTimeNs() / 1_000_000_000n) - 1;
  for (let place = at; place < at + size; place += 8) {
    if (value.readUInt32LE(place + 4) !== 0) value.writeUInt32LE(past, place);
  }
  map.set(key, value);
}

describe('leases', () => {
  let lab: Lab;
  let resolver: RecordResolver;
  let enforcer: RunningEnforcer;
  before(async () => {
    mountBpffs('/sys/fs/bpf'); // as the enforcer would, and seen by this process too
    lab = createLab();
    await Promise.all([startWeb(lab.web), startTcpEcho(lab.web), startUdpEcho(lab.web)]);
    resolver = await startUnbound(lab.dns, { addresses: [SERVER.v4], records: RECORDS });
    lab.host.useResolvConf(resolver.resolvConf);
    enforcer = await startEnforcer(lab.host, ['-iface=eth0', '-eface=eth0', '-cn=.listed.example']);
  });
  after(() => lab.close());

  for (const [index, ttl] of TTLS.entries()) {
    test(`TTL ${ttl} makes a lease of ${leaseSeconds(ttl)} s`, () => {
      const { v4 } = webAddress(11 + index);
      assert.deepEqual(digShort(lab.host, SERVER.v4, [`ttl${ttl}.listed.example`]), [v4]);
      const left = secondsLeft(enforcer.instance, v4);
      assert.ok(left <= leaseSeconds(ttl) && left >= leaseSeconds(ttl) - 2, `${left} s`);
    });
  }

  for (const { name, address, target } of [
    { name: 'tcp4.listed.example', address: webAddress(1).v4, target: `TCP4:${webAddress(1).v4}:7` },
    { name: 'tcp6.listed.example', address: webAddress(2).v6, target: `TCP6:[${webAddress(2).v6}]:7` },
    { name: 'udp.listed.example', address: webAddress(3).v4, target: `UDP4:${webAddress(3).v4}:7` },
  ]) {
    test(`${target}: the flow outlives its lease, a new one is refused until the name is looked up again`, async () => {
      const type = address.includes(':') ? 'AAAA' : 'A';
      assert.deepEqual(digShort(lab.host, SERVER.v4, [name, type]), [address]);
      using flow = await openEchoFlow(lab.host, target);
      await flow.echo('before');
      endLeases(enforcer.instance, address);
      await flow.echo('after');
      const since = enforcer.events().length;
      await isRefused(lab.host, address);
      const told = await enforcer.waitForEvent(({ dst }) => dst === address, 2_000, since);
      assert.deepEqual([told.verdict, told.reason], ['deny', 'lease-ended']);
      await flow.echo('still');
      assert.deepEqual(digShort(lab.host, SERVER.v4, [name, type]), [address]);
      await passes(lab.host, address);
      await flow.echo('again');
    });
  }

  test('a name that moves passes at its new address at once, at its old one until the lease ends', async () => {
    const [from, to] = [webAddress(21), webAddress(22)];
    await resolver.replace([...RECORDS, ...addressRecords(MOVING, [from.v4], 0)]);
    assert.equal((await passes(lab.host, MOVING)).remoteAddress, from.v4);
    await isRefused(lab.host, to.v4);
    await resolver.replace([...RECORDS, ...addressRecords(MOVING, [to.v4], 0)]);
    assert.equal((await passes(lab.host, MOVING)).remoteAddress, to.v4);
    await passes(lab.host, from.v4);
    endLeases(enforcer.instance, from.v4);
    await isRefused(lab.host, from.v4);
    await passes(lab.host, MOVING);
  });
});
