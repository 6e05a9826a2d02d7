import { LIMITS } from '../datapath/layout.ts';
import { placeOf } from '../datapath/struct.ts';
import { escapeControl } from '../flow/escape.ts';
import { Protocol } from '../flow/protocol.ts';
import type { MapBlock } from '../libbpf/map-blocks.ts';
import type { Attachment, Census, MapFill, SubjectCount } from '../metrics/census.ts';
import { Turns } from '../metrics/turns.ts';
import type { MeteredEnforcer } from './metered.ts';
import { HitBook } from './rule-hits.ts';

/** Entries of a map that are looked at in one piece, and how long one goes on before others have their turn. */
const BLOCK = 1_024;
const PIECE_MS = 2;
/** Rules that are told apart. */
const RULE_LIMIT = 1_000;

/* Of bpf/flow.h: how long a flow without an end of its own, and one after FIN, is matched. */
const UDP_IDLE_NS = 60e9;
const FIN_IDLE_NS = 120e9;

const LITTLE_ENDIAN = new Uint8Array(Uint16Array.of(1).buffer)[0] === 1;
const [FLOW_POLICY_AT] = placeOf('flow_key', 'policy');
const [FLOW_PROTO_AT] = placeOf('flow_key', 'l4_proto');
const [FLOW_SEEN_AT] = placeOf('flow', 'seen_ns');
const [FLOW_FLAGS_AT] = placeOf('flow', 'flags');
const [INBOUND_SEEN_AT] = placeOf('inbound', 'seen_ns');
const [HOST_POLICY_AT] = placeOf('host_key', 'policy');
const [HELD_AT, HELD_BYTES] = placeOf('leases', 'held');
const [ALLOWED_AT] = placeOf('rule_state', 'allowed');
const [REFUSED_AT] = placeOf('rule_state', 'refused');
const [LEARNED_AT] = placeOf('rule_state', 'learned');
const [EVICTED_AT] = placeOf('rule_state', 'evicted');

/** Looks at one entry, which begins at `keyAt` of the block's keys and at `valueAt` of its values. */
type Look = (block: MapBlock, keyAt: number, valueAt: number) => void;

/** Counts what is in the kernel for an enforcer, in small pieces. */
export class CensusTaker {
  readonly #enforcer: MeteredEnforcer;
  readonly #hits: HitBook;
  readonly #turns = new Turns(PIECE_MS);

  constructor(enforcer: MeteredEnforcer) {
    this.#enforcer = enforcer;
    this.#hits = new HitBook(RULE_LIMIT, (id) => {
      const found = enforcer.ruleOf(id);
      return found && { rule: found.rule.source, subject: this.#subjectOf(found.policyId) };
    });
  }

  /** Counts once; one call after the other. Throws SystemError. */
  async take(): Promise<Census> {
    const begunMs = performance.now();
    const turns = this.#turns;
    const inForce = this.#enforcer.policyIds();
    const tally = {
      outbound: new Tally(inForce),
      inbound: new Tally(inForce),
      addresses: new Tally(inForce),
      leases: new Tally(inForce),
    };
    const looks = this.#looks(tally);
    const maps: MapFill[] = [];
    for (const { name, maxEntries, blocks } of this.#enforcer.maps) {
      let entries = 0;
      for await (const block of blocks(BLOCK)) {
        turns.begin();
        entries += block.count;
        const look = looks.get(name);
        if (look) lookAtAll(block, look);
        await turns.give();
      }
      maps.push({ name, entries, maxEntries });
    }
    turns.begin();
    const rules = new Tally(inForce);
    for (const [index, { policyId }] of this.#enforcer.rules().entries()) {
      rules.add(policyId);
      if (index % BLOCK === 0) await turns.give();
    }
    const hits = this.#hits.settle();
    await turns.give();
    const attachments: Attachment[] = [];
    for (const attachment of this.#enforcer.attachments()) {
      attachments.push({ ...attachment, name: escapeControl(attachment.name) });
      await turns.give();
    }
    return {
      takenMs: Date.now(),
      tookMs: performance.now() - begunMs,
      longestPieceMs: turns.longestMs,
      maps,
      outbound: this.#bySubject(tally.outbound),
      inbound: this.#bySubject(tally.inbound),
      addresses: this.#bySubject(tally.addresses),
      leases: this.#bySubject(tally.leases),
      rules: this.#bySubject(rules),
      hits,
      otherHits: this.#hits.others,
      attachments,
    };
  }

  #looks(tally: { readonly [kind in 'outbound' | 'inbound' | 'addresses' | 'leases']: Tally }) {
    const nowNs = Number(process.hrtime.bigint());
    const nowSeconds = this.#enforcer.bootSeconds();
    const lookAtInbound: Look = ({ keys, values }, keyAt, valueAt) => {
      const isTcp = keys.getUint8(keyAt + FLOW_PROTO_AT) === Protocol.tcp;
      if (isTcp || nowNs - readWide(values, valueAt + INBOUND_SEEN_AT) <= UDP_IDLE_NS)
        tally.inbound.add(readPolicy(keys, keyAt + FLOW_POLICY_AT));
    };
    return new Map<string, Look>([
      [
        'flows',
        ({ keys, values }, keyAt, valueAt) => {
          const isTcp = keys.getUint8(keyAt + FLOW_PROTO_AT) === Protocol.tcp;
          const flags = values.getUint32(valueAt + FLOW_FLAGS_AT, LITTLE_ENDIAN);
          const idleNs = nowNs - readWide(values, valueAt + FLOW_SEEN_AT);
          const isOpen = isTcp && (flags & LIMITS.FLOW_FIN) === 0;
          if (isOpen || idleNs <= (isTcp ? FIN_IDLE_NS : UDP_IDLE_NS))
            tally.outbound.add(readPolicy(keys, keyAt + FLOW_POLICY_AT));
        },
      ],
      ['inbound', lookAtInbound],
      ['inbound_new', lookAtInbound],
      [
        'learned',
        ({ keys, values }, keyAt, valueAt) => {
          const live = countLeases(values, valueAt + HELD_AT, nowSeconds);
          if (live === 0) return;
          const policyId = readPolicy(keys, keyAt + HOST_POLICY_AT);
          tally.addresses.add(policyId);
          tally.leases.add(policyId, live);
        },
      ],
      [
        'rule_states',
        ({ keys, values }, keyAt, valueAt) => {
          const allowed = readWide(values, valueAt + ALLOWED_AT);
          const refused = readWide(values, valueAt + REFUSED_AT);
          const learned = readWide(values, valueAt + LEARNED_AT);
          const evicted = readWide(values, valueAt + EVICTED_AT);
          if (allowed + refused + learned + evicted === 0) return;
          this.#hits.enter(keys.getUint32(keyAt, LITTLE_ENDIAN), allowed, refused, learned, evicted);
        },
      ],
    ]);
  }

  #subjectOf(policyId: number): string {
    return this.#enforcer.subjectName(policyId) ?? `#${policyId}`;
  }

  #bySubject(tally: Tally): SubjectCount[] {
    return [...tally.counts].map(([policyId, count]) => ({
      subject: escapeControl(this.#subjectOf(policyId)),
      count,
    }));
  }
}

/** Counts by number of a policy, from 0 for those in force. */
class Tally {
  readonly counts: Map<number, number>;

  constructor(inForce: readonly number[]) {
    this.counts = new Map(inForce.map((policyId) => [policyId, 0]));
  }

  add(policyId: number, count = 1): void {
    this.counts.set(policyId, (this.counts.get(policyId) ?? 0) + count);
  }
}

function lookAtAll(block: MapBlock, look: Look): void {
  const { count, keyBytes, valueBytes } = block;
  for (let index = 0; index < count; index++) look(block, index * keyBytes, index * valueBytes);
}

/* held: rule id << 32 | end of the lease, in seconds. */
function countLeases(values: DataView, from: number, nowSeconds: number): number {
  let live = 0;
  for (let at = from; at < from + HELD_BYTES; at += 8) {
    const endsAt = values.getUint32(at + (LITTLE_ENDIAN ? 0 : 4), LITTLE_ENDIAN);
    if (endsAt > nowSeconds) live += 1;
  }
  return live;
}

function readPolicy(keys: DataView, at: number): number {
  return keys.getUint16(at, LITTLE_ENDIAN);
}

/* Not exact past 2^53, which takes longer than a machine lives. */
function readWide(values: DataView, at: number): number {
  const [low, high] = LITTLE_ENDIAN ? [at, at + 4] : [at + 4, at];
  return values.getUint32(high, LITTLE_ENDIAN) * 2 ** 32 + values.getUint32(low, LITTLE_ENDIAN);
}
