import { LAYOUT } from '../../src/datapath/layout.ts';
import type { BpfMap } from '../../src/libbpf/map.ts';
import { loadObject } from '../../src/libbpf/object.ts';
import type { BpfProgram } from '../../src/libbpf/program.ts';
import type { Scope } from '../../src/scope.ts';
import { ethernet, inbound, outbound } from '../bpf/frames.ts';
import type { Harness } from '../bpf/harness.ts';
import { udp } from '../bpf/segments.ts';
import { message, pointer, QNAME_AT, RECORDS_AT, record } from '../dns/raw-message.ts';
import { PASS, type PacketPath } from './packet-path.ts';

export const RESOLVER = '192.0.2.53';
/** Lists what the default question of a message asks for. */
export const ASKED_SUFFIX = '.example.com';
/** Lease records of the rule that lists it: no answer of a run makes another give way. */
export const SHARE = 65_536;

/** Queries that wait at the same time. */
const WAITING = 16;
/** In one run; the ring holds the events of all. */
const ANSWERS = 2_000;
const RECORD_COUNTS = [1, 4, 16, 32];
const FIRST_ID = 1000;
const CLIENT_PORT = 40_000;

/** An answer that is measured, and the same work around it with a program that only returns in its place. */
export interface AnswerPath {
  readonly what: string;
  readonly measured: PacketPath;
  readonly around: PacketPath;
}

/** Answers with each number of A records: with a live lease each, and with addresses never seen. See paths.bpf.c. */
export async function answerPaths(
  objectPath: string,
  scope: Scope,
  harness: Harness,
  bare: BpfProgram,
): Promise<AnswerPath[]> {
  const measured = await Answerer.load(objectPath, scope, harness, harness.state.program('l7egg_arrive'));
  const around = await Answerer.load(objectPath, scope, harness, bare);
  return RECORD_COUNTS.flatMap((records) =>
    [0, records].map((renumbered) => {
      const what = `DNS answer, ${records} A, ${renumbered ? 'new addresses' : 'leases renewed'}`;
      return {
        what,
        measured: measured.path(what, records, renumbered),
        around: around.path(`${what}: around it`, records, renumbered),
      };
    }),
  );
}

/** The ns of an answer from those of its two paths, of whose packets half are answers. */
export function answerNs(measuredNs: number, aroundNs: number, bareNs: number): number {
  return 2 * (measuredNs - aroundNs) + bareNs;
}

/** A query for `www.example.com A` to the resolver. */
export function queryFrame(id: number): Buffer {
  const payload = message({ id, flags: 0x0100 });
  return ethernet(outbound(RESOLVER, udp({ from: CLIENT_PORT, to: 53, payload })));
}

/** Its answer with this many A records, as servers write it: each owner is a pointer to the question. */
export function answerFrame(records: number, id: number): Buffer {
  const answers = Array.from({ length: records }, (_, index) =>
    record(pointer(QNAME_AT), 1, [203, 0, 113, index]),
  );
  const payload = message({ id, answers });
  return ethernet(inbound(RESOLVER, udp({ from: 53, to: CLIENT_PORT, payload })));
}

class Answerer {
  readonly #harness: Harness;
  readonly #program: BpfProgram;
  readonly #plans: BpfMap;

  constructor(harness: Harness, program: BpfProgram, plans: BpfMap) {
    this.#harness = harness;
    this.#program = program;
    this.#plans = plans;
  }

  static async load(
    objectPath: string,
    scope: Scope,
    harness: Harness,
    target: BpfProgram,
  ): Promise<Answerer> {
    using object = await loadObject(objectPath, (opened) =>
      opened.reuseMap('pending_queries', harness.state.map('pending_queries')),
    );
    scope.use(object.map('target')).set(ZERO, u32(target.fd));
    return new Answerer(harness, scope.use(object.program('answers')), scope.use(object.map('plans')));
  }

  path(what: string, records: number, renumbered: number): PacketPath {
    const frame = answerFrame(records, FIRST_ID);
    return {
      what,
      program: this.#program,
      frame,
      skb: this.#harness.onWire,
      verdict: PASS,
      repeat: 2 * ANSWERS,
      prepare: () => this.#prepare(frame, renumbered),
    };
  }

  async #prepare(frame: Buffer, renumbered: number): Promise<void> {
    await this.#forget(renumbered > 0);
    const { state } = this.#harness;
    state.program('l7egg_egress').testRun({ data: queryFrame(FIRST_ID), dataOutBytes: 0 });
    const [waiting] = [...state.map('pending_queries').entries()];
    if (!waiting) throw new Error('Cannot prepare answers: the query was not entered');
    const numbers = [WAITING, 0, RECORDS_AT, renumbered].map(u32);
    this.#plans.set(ZERO, Buffer.concat([...numbers, ...waiting]));
    // Makes the leases, and one event that nobody has read: the next ones wake nobody.
    const skb = this.#harness.onWire;
    state.program('l7egg_arrive').testRun({ data: frame, dataOutBytes: 0, skb });
  }

  /* What answers have taught, so that the maps are as full in each run. */
  async #forget(withRecords: boolean): Promise<void> {
    const { state } = this.#harness;
    for (const name of ['learned', 'pending_queries'] as const) {
      for (const [key] of [...state.map(name).entries()]) state.map(name).delete(key);
    }
    if (withRecords) {
      const indexes = new Uint8Array(Uint32Array.from({ length: SHARE }, (_, index) => index).buffer);
      const empty = new Uint8Array(SHARE * LAYOUT.lease_record.size);
      await state.map('lease_ring').updateBatch(indexes, empty, SHARE);
    }
    this.#harness.events();
  }
}

const ZERO = u32(0);

function u32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return bytes;
}
