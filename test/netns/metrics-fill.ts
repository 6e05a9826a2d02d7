/*
 * fill INSTANCE: fills the maps of a running instance that metrics count, as far as they go: flows, learned addresses with
 * eight leases each, and the counters of all rules.
 */
import { HOST_POLICY } from '../../src/datapath/compile.ts';
import { LAYOUT, LIMITS } from '../../src/datapath/layout.ts';
import { Pins } from '../../src/datapath/pins.ts';
import { encodeStruct, placeOf } from '../../src/datapath/struct.ts';
import { BpfMap } from '../../src/libbpf/map.ts';

const [, , instance = ''] = process.argv;
const LATER_SECONDS = 3_600;

/** `count` copies of a struct, each with its number in the 4 bytes at `at`. */
function numbered(one: Buffer, count: number, at: number): Buffer {
  const all = Buffer.alloc(count * one.length, one);
  for (let index = 0; index < count; index++) all.writeUInt32LE(index + 1, index * one.length + at);
  return all;
}

async function fill(name: string, keys: Buffer, values: Buffer, count: number): Promise<void> {
  const path = new Pins(instance).map(name);
  using map = BpfMap.openPinned(path);
  if (!map) throw new Error(`Cannot open "${path}": no such pin`);
  await map.updateBatch(keys, values, count);
}

const mapped = Buffer.from([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0, 0, 0, 0]);
const flow = encodeStruct('flow_key', { remote: mapped, policy: HOST_POLICY, l4_proto: 6 });
const flows = Math.floor(LIMITS.MAX_FLOWS * 0.9);
await fill(
  'flows',
  numbered(flow, flows, placeOf('flow_key', 'remote')[0] + 12),
  Buffer.alloc(flows * LAYOUT.flow.size, encodeStruct('flow', { seen_ns: process.hrtime.bigint(), rule: 1 })),
  flows,
);

const host = encodeStruct('host_key', { addr: mapped, policy: HOST_POLICY });
const leases = encodeStruct('leases', {});
const endsAt = Math.floor(Number(process.hrtime.bigint() / 1_000_000_000n)) + LATER_SECONDS;
for (let held = 0; held < LIMITS.MAX_HELD; held++) {
  const at = placeOf('leases', 'held')[0] + 8 * held;
  leases.writeUInt32LE(endsAt, at);
  leases.writeUInt32LE(held + 1, at + 4);
}
const addresses = LIMITS.MAX_LEASE_RECORDS;
await fill(
  'learned',
  numbered(host, addresses, placeOf('host_key', 'addr')[0] + 12),
  Buffer.alloc(addresses * leases.length, leases),
  addresses,
);

const rules = LIMITS.MAX_RULES;
const state = encodeStruct('rule_state', { allowed: 3n, learned: 2n });
await fill(
  'rule_states',
  numbered(Buffer.alloc(4), rules, 0),
  Buffer.alloc(rules * state.length, state),
  rules,
);
process.stdout.write(`filled ${flows} ${addresses} ${rules}\n`);
