import { after, beforeEach } from 'node:test';
import { fileURLToPath } from 'node:url';
import { HOST_POLICY } from '../../src/datapath/compile.ts';
import type { Shares } from '../../src/datapath/compiled-policy.ts';
import { decodeEvent, type RawDnsEvent, type RawEvent, type RawFlowEvent } from '../../src/datapath/event.ts';
import { setResolvers } from '../../src/datapath/host-facts.ts';
import { findLearned } from '../../src/datapath/learned.ts';
import { settleRecords, sharesOf } from '../../src/datapath/lease-shares.ts';
import { applyPolicy, freeIdleSlot } from '../../src/datapath/policy-slot.ts';
import {
  createPolicyMaps,
  type DatapathState,
  initControl,
  loadState,
  readCounters,
  type StateMapName,
} from '../../src/datapath/state.ts';
import { encodeStruct, placeOf, writeStruct } from '../../src/datapath/struct.ts';
import { teach } from '../../src/datapath/teacher.ts';
import { bootTimeNs } from '../../src/libbpf/clock.ts';
import { checked } from '../../src/libbpf/errno.ts';
import type { SkbFields } from '../../src/libbpf/program.ts';
import { openRing, type RingReader } from '../../src/libbpf/ring-reader.ts';
import { addressOf, bpf } from '../../src/libbpf/symbols.ts';
import { parseAddress } from '../../src/policy/prefix.ts';
import { ethernet } from './frames.ts';
import { compile, type PolicySpec } from './policy-builder.ts';
import { Wire } from './wire.ts';

/** `pass`: others still run. `refuse`: the packet, made into its own answer, is sent back up. */
export type Verdict = 'pass' | 'drop' | 'refuse';

/** A verdict, and the frame as the program left it. */
export interface Outcome {
  readonly verdict: Verdict;
  readonly frame: Buffer;
}

export type ProgramName =
  | 'egress'
  | 'egress_l3'
  | 'query'
  | 'query_l3'
  | 'arrive'
  | 'arrive_l3'
  | 'learn'
  | 'learn_l3';

/** A lease as tests compare it; `seconds` are those left. */
export interface Lease {
  readonly rule: number;
  readonly seconds: number;
}

const OBJECT = fileURLToPath(new URL('../../../dist/l7egg.bpf.o', import.meta.url));
const HASH_SEED = 0x5eed_5eed_5eedn;
/** TC_ACT_UNSPEC, TC_ACT_SHOT, TC_ACT_REDIRECT. */
const VERDICTS: ReadonlyMap<number, Verdict> = new Map([
  [-1, 'pass'],
  [2, 'drop'],
  [7, 'refuse'],
]);
const KEPT: readonly StateMapName[] = [
  'resolvers',
  'flows',
  'inbound',
  'inbound_new',
  'learned',
  'pending_queries',
  'observed_queries',
  'dns_streams',
  'aliases',
  'fragments',
  'series',
  'dhcp_servers',
  'own_addresses',
  'enforced',
];

/** A loaded object that nothing is attached to or pinned; programs run on bytes. */
export class Harness implements Disposable {
  readonly state: DatapathState;
  /** Of the policy in force. */
  shares: Shares = new Map();
  readonly #ring: RingReader;
  readonly #wire = new Wire();
  #events: RawEvent[] = [];
  #inForce: PolicySpec | undefined;

  /** Use `Harness.load`. Takes ownership of `state`. */
  constructor(state: DatapathState) {
    this.state = state;
    this.#ring = openRing(this.state.map('events'), (bytes) => this.#events.push(decodeEvent(bytes)));
  }

  /** Loads these programs, and the one that teaches. */
  static async load(programs: readonly ProgramName[]): Promise<Harness> {
    const names = [...programs.map((name) => `l7egg_${name}`), 'l7egg_teach'];
    using maps = createPolicyMaps();
    const state = await loadState(OBJECT, names, maps);
    initControl(state, 0n, HASH_SEED);
    return new Harness(state);
  }

  /** Puts a policy in force and frees the one before, as the enforcer does. */
  async apply(spec: PolicySpec): Promise<void> {
    const policy = compile(spec, this.shares);
    await applyPolicy(this.state, policy);
    await freeIdleSlot(this.state);
    this.shares = sharesOf(policy.rules);
    settleRecords(this.state, this.shares);
    this.#inForce = spec;
  }

  /** Puts a policy in force unless it is: a swap takes some grace periods. */
  async ensure(spec: PolicySpec): Promise<void> {
    if (this.#inForce !== spec) await this.apply(spec);
  }

  /** Trusts these and no others. */
  trust(...resolvers: readonly (readonly [address: string, port: number])[]): void {
    const given = resolvers.map(([address, port]) => ({ addr16: parseAddress(address), port }));
    setResolvers(this.state, given);
  }

  /** What has a packet come in by a device that is not lo. */
  get onWire(): SkbFields {
    return { ifindex: this.#wire.ifindex };
  }

  /** Runs a program on bytes as they are: what teaches on a device of its own, others on lo unless `skb` says so. */
  run(program: ProgramName, bytes: Uint8Array, skb?: SkbFields): Outcome {
    const data = Buffer.from(bytes);
    const from = skb ?? (/^learn/u.test(program) ? this.onWire : undefined);
    const run = { data, dataOutBytes: data.length + 256, ...(from && { skb: from }) };
    const { retval, dataOut } = this.state.program(`l7egg_${program}`).testRun(run);
    return { verdict: verdictOf(retval), frame: Buffer.from(dataOut) };
  }

  /** Runs a program on a frame that the device would cut into datagrams of `segmentBytes` (UDP_SEGMENT). */
  runSegmented(program: ProgramName, frame: Uint8Array, segmentBytes: number): Verdict {
    const data = Buffer.from(frame);
    const skb = Buffer.alloc(192); // struct __sk_buff
    skb.writeUInt32LE(segmentBytes, 176); // gso_size
    const opts = Buffer.alloc(80); // struct bpf_test_run_opts
    opts.writeBigUInt64LE(80n, 0);
    opts.writeBigUInt64LE(addressOf(data), 8);
    opts.writeUInt32LE(data.length, 24);
    opts.writeBigUInt64LE(addressOf(skb), 32);
    opts.writeUInt32LE(skb.length, 48);
    opts.writeInt32LE(1, 60);
    checked(
      bpf.progTestRun(this.state.program(`l7egg_${program}`).fd, opts),
      'run a BPF program on a test frame',
    );
    return verdictOf(opts.readInt32LE(56));
  }

  /** Runs a program on a packet in an Ethernet frame. */
  send(program: ProgramName, packet: Uint8Array, skb?: SkbFields): Verdict {
    return this.run(program, ethernet(packet), skb).verdict;
  }

  /** What the ring holds since the last call. */
  events(): RawEvent[] {
    this.#ring.drain();
    return this.#events.splice(0);
  }

  flowEvents(): RawFlowEvent[] {
    return this.events().filter((event) => event.kind === 'flow');
  }

  dnsEvents(): RawDnsEvent[] {
    return this.events().filter((event) => event.kind === 'dns');
  }

  /** The counters that are not zero. */
  counters(): { [name: string]: number } {
    return Object.fromEntries(Object.entries(readCounters(this.state)).filter(([, value]) => value > 0));
  }

  /** The leases of an address, ended ones included, by rule. */
  leases(address: string | Uint8Array, policyId: number = HOST_POLICY): Lease[] {
    const addr = typeof address === 'string' ? parseAddress(address) : address;
    const now = Number(bootTimeNs() / 1_000_000_000n);
    return findLearned(this.state, encodeStruct('host_key', { addr, policy: policyId }))
      .map(({ ruleId, endsAt }) => ({ rule: ruleId, seconds: endsAt - now }))
      .sort((a, b) => a.rule - b.rule);
  }

  /** Leases these addresses to these rules, as user space does for an answer it read itself. */
  teach(ruleIds: readonly number[], addresses: readonly string[], ttlSeconds = 300): void {
    this.teachAs(HOST_POLICY, ruleIds, addresses, ttlSeconds);
  }

  /** As `teach`, for another subject than the host. */
  teachAs(
    policyId: number,
    ruleIds: readonly number[],
    addresses: readonly string[],
    ttlSeconds = 300,
  ): void {
    teach(this.state, { policyId, ruleIds, addresses: addresses.map(parseAddress), ttlSeconds });
  }

  /** Ends all leases a second ago. */
  endLeases(): void {
    const end = bootTimeNs() / 1_000_000_000n - 1n;
    this.rewrite('learned', (value) => {
      const [offset, size] = placeOf('leases', 'held');
      for (let at = offset; at < offset + size; at += 8) {
        const rule = value.readBigUInt64LE(at) >> 32n;
        if (rule) value.writeBigUInt64LE((rule << 32n) | end, at);
      }
    });
  }

  /** Makes all entries of a map as if last seen so long ago; at most since the host's start, before which no time is. */
  age(map: 'flows' | 'inbound' | 'inbound_new' | 'fragments', seconds: number): void {
    const asked = process.hrtime.bigint() - BigInt(seconds) * 1_000_000_000n;
    const seen = asked > 1n ? asked : 1n;
    const struct = map === 'flows' ? 'flow' : map === 'fragments' ? 'fragment' : 'inbound';
    this.rewrite(map, (value) => {
      writeStruct(value, 0, struct, { seen_ns: seen });
      // Within one tick a flow is looked at once.
      if (map === 'flows') writeStruct(value, 0, 'flow', { checked_jiffies: 0 });
    });
  }

  /** Forgets what was learned, and the records of it. */
  forgetLeases(): void {
    this.forget('learned');
    const ring = this.state.map('lease_ring');
    const empty = Buffer.alloc(ring.info.valueBytes);
    for (const { ringBase, ringLength } of this.shares.values()) {
      for (let index = 0; index < ringLength; index += 1) ring.set(u32(ringBase + index), empty);
    }
  }

  /** How many addresses are in the map of learned ones. */
  learnedCount(): number {
    return [...this.state.map('learned').entries()].length;
  }

  /** Rewrites the value of every entry of a map. */
  rewrite(map: StateMapName, change: (value: Buffer) => void): void {
    for (const [key, value] of [...this.state.map(map).entries()]) {
      change(value);
      this.state.map(map).set(key, value);
    }
  }

  /** Empties a map. The `series` forgotten, each refusal is an event of its own again. */
  forget(name: StateMapName): void {
    const map = this.state.map(name);
    for (const [key] of [...map.entries()]) map.delete(key);
  }

  /** Forgets flows, leases, resolvers, events and counts; the policy stays. */
  reset(): void {
    for (const name of KEPT) this.forget(name);
    const counters = this.state.map('counters');
    for (const [key, value] of [...counters.entries()]) counters.set(key, Buffer.alloc(value.length));
    this.events();
  }

  close(): void {
    this.#ring.close();
    this.#wire.close();
    this.state.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }
}

function u32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return bytes;
}

function verdictOf(returned: number): Verdict {
  const verdict = VERDICTS.get(returned);
  if (!verdict) throw new RangeError(`the program returned ${returned}`);
  return verdict;
}

/** A harness for the tests of one file, without memory between them. */
export async function useHarness(...programs: readonly ProgramName[]): Promise<Harness> {
  const harness = await Harness.load(programs);
  after(() => harness.close());
  beforeEach(() => harness.reset());
  return harness;
}
