import { type Compression, type Labels, MessageWriter } from './message-writer.ts';
import type { Rng } from './rng.ts';

export { makeRng, type Rng } from './rng.ts';

/** A query and what came back; both begin with the same id and, unless a fault says otherwise, question. */
export interface Exchange {
  readonly query: Uint8Array<ArrayBuffer>;
  readonly answer: Uint8Array<ArrayBuffer>;
}

/** `faults: false` gives well-formed messages of plain names only. */
export interface ExchangeOptions {
  readonly faults?: boolean;
}

/** A record before it is written; `target` is a name in rdata, which may stand between other bytes. */
interface Draft {
  readonly owner: Labels;
  readonly rtype: number;
  readonly rclass: number;
  readonly ttl: number;
  readonly rdata:
    | { readonly bytes: Uint8Array }
    | { readonly target: Labels; readonly before?: Uint8Array; readonly after?: Uint8Array };
}

interface Plan {
  readonly id: number;
  readonly qname: Labels;
  readonly qtype: number;
  readonly answers: Draft[];
  readonly authorities: Draft[];
  readonly additionals: Draft[];
}

const TEXT = new TextEncoder();
const TOP: Labels = ['com', 'example', 'test', 'gitlab', 'net'].map((label) => TEXT.encode(label));
const HOUR = 3600;
const MAX_NAME = 255;
const LONGEST_TTL = 0xffffffff;

/** One DNS answer, well-formed in about half of the cases, else with one or several faults. */
export function generateAnswer(rng: Rng): Uint8Array<ArrayBuffer> {
  return generateExchange(rng).answer;
}

/** A query and its answer, so that a tracker of queries can be fed both. */
export function generateExchange(rng: Rng, { faults = true }: ExchangeOptions = {}): Exchange {
  const isFaulty = faults && rng.oneIn(2);
  const plan = draftPlan(rng, isFaulty);
  if (isFaulty) spoilPlan(rng, plan);
  const answer = writeAnswer(rng, plan, isFaulty);
  return { query: writeQuery(rng, plan), answer: isFaulty ? spoilBytes(rng, answer) : answer };
}

function draftPlan(rng: Rng, isFaulty: boolean): Plan {
  const qname = makeName(rng, isFaulty);
  const qtype = rng.pick([1, 1, 28, 28, 65, 64, 5, 255, 16]);
  const chain = [qname];
  const hops = rng.oneIn(12) ? rng.below(20) : rng.below(4);
  for (let hop = 0; hop < hops; hop += 1) chain.push(makeName(rng, isFaulty && rng.oneIn(8)));
  const answers: Draft[] = [];
  for (const [index, owner] of chain.entries()) {
    const target = chain[index + 1];
    // A DNAME of the zone, and the CNAME that a server makes of it; RFC 6672 3.1.
    if (target && rng.oneIn(10)) answers.push(draft(rng, owner.slice(1), 39, { target: target.slice(1) }));
    if (target) answers.push(draft(rng, owner, 5, { target }));
    if (rng.oneIn(10)) answers.push(draft(rng, owner, 46, { bytes: makeSignature(rng) }));
  }
  const owner = chain[chain.length - 1] ?? qname;
  const many = rng.oneIn(40) ? 300 : rng.oneIn(10) ? 40 : 5;
  for (let left = rng.below(many); left > 0; left -= 1) answers.push(draftAddress(rng, owner));
  if (qtype === 65 || qtype === 64)
    answers.push(draft(rng, owner, qtype, { bytes: makeServiceBinding(rng) }));
  if (rng.oneIn(12)) answers.push(draftOther(rng, owner));
  const zone = qname.slice(-1);
  const plan: Plan = { id: rng.below(0x10000), qname, qtype, answers, authorities: [], additionals: [] };
  if (rng.oneIn(3)) plan.authorities.push(draft(rng, zone, 2, { target: makeName(rng, false) }));
  if (rng.oneIn(6)) plan.additionals.push(draftAddress(rng, makeName(rng, false)));
  if (rng.oneIn(2)) plan.additionals.push(draftOpt(rng));
  return plan;
}

/** Faults that leave the message walkable, for the most part. */
function spoilPlan(rng: Rng, plan: Plan): void {
  const { answers, qname } = plan;
  const at = rng.below(answers.length + 1);
  const victim = answers[at];
  switch (rng.below(11)) {
    case 0: // out of order: an A before its CNAME
      answers.splice(rng.below(answers.length), 0, ...answers.splice(at, 1));
      break;
    case 1:
      answers.reverse();
      break;
    case 2: // another owner
      answers.splice(at, 0, draftAddress(rng, makeName(rng, false)));
      break;
    case 3: // another class
      if (victim) answers[at] = { ...victim, rclass: rng.pick([0, 2, 3, 4, 254, 255, 0x8001]) };
      break;
    case 4: // a loop, or a name of its own
      answers.splice(
        at,
        0,
        draft(rng, victim?.owner ?? qname, 5, { target: rng.oneIn(2) ? qname : (victim?.owner ?? qname) }),
      );
      break;
    case 5: // wrong rdata length
      answers.splice(
        at,
        0,
        draft(rng, victim?.owner ?? qname, rng.pick([1, 28]), {
          bytes: rng.bytes(rng.pick([0, 3, 4, 5, 15, 16, 17])),
        }),
      );
      break;
    case 6: // where nothing is learned
      plan.authorities.push(draftAddress(rng, qname));
      plan.additionals.push(
        draftAddress(rng, qname),
        draft(rng, qname, rng.pick([1, 28]), { bytes: rng.bytes(4) }),
      );
      break;
    case 7: // a CNAME whose rdata is not just a name
      answers.splice(at, 0, draft(rng, victim?.owner ?? qname, 5, { bytes: rng.bytes(1 + rng.below(12)) }));
      break;
    case 8: // v4-mapped
      answers.splice(
        at,
        0,
        draft(rng, victim?.owner ?? qname, 28, {
          bytes: Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 255, 255, ...rng.bytes(4)),
        }),
      );
      break;
    case 9:
      answers.splice(at, 0, draft(rng, qname, rng.pick([64, 65]), { bytes: makeServiceBinding(rng) }));
      break;
    default: // names alone are odd
      break;
  }
}

function writeAnswer(rng: Rng, plan: Plan, isFaulty: boolean): Uint8Array<ArrayBuffer> {
  const writer = new MessageWriter(rng);
  const recursion = 0x8180;
  const flags =
    isFaulty && rng.oneIn(8)
      ? recursion ^ rng.pick([0x8000, 0x0200, 0x0800, 0x7800, 3, 2, 0x0400])
      : recursion;
  writer.u16(plan.id, flags, isFaulty && rng.oneIn(20) ? rng.pick([0, 2]) : 1, 0, 0, 0);
  const questionCompression = isFaulty && rng.oneIn(30) ? badCompression(rng) : 'none';
  writer.name(plan.qname, questionCompression);
  writer.u16(plan.qtype, isFaulty && rng.oneIn(30) ? 3 : 1);
  if (isFaulty && rng.oneIn(40)) {
    writer.patchU16(4, 2);
    writer.name(rng.oneIn(2) ? plan.qname : makeName(rng, false), 'shared');
    writer.u16(plan.qtype, 1);
  }
  for (const [index, section] of [plan.answers, plan.authorities, plan.additionals].entries()) {
    for (const record of section) writeRecord(rng, writer, record, isFaulty);
    const error = isFaulty && rng.oneIn(25) ? rng.pick([-1, 1, 0x100]) : 0;
    writer.patchU16(6 + 2 * index, Math.max(0, section.length + error));
  }
  if (isFaulty && rng.oneIn(15)) writer.bytes(rng.bytes(1 + rng.below(20)));
  return writer.finish();
}

function writeRecord(rng: Rng, writer: MessageWriter, record: Draft, isFaulty: boolean): void {
  writer.name(record.owner, chooseCompression(rng, isFaulty));
  writer.u16(record.rtype, record.rclass);
  writer.u32(record.ttl);
  const lengthAt = writer.length;
  writer.u16(0);
  const { rdata } = record;
  if ('bytes' in rdata) {
    writer.bytes(rdata.bytes);
  } else {
    if (rdata.before) writer.bytes(rdata.before);
    writer.name(rdata.target, chooseCompression(rng, isFaulty));
    if (rdata.after) writer.bytes(rdata.after);
  }
  const error = isFaulty && rng.oneIn(80) ? rng.pick([-1, 1, 7]) : 0;
  writer.patchU16(lengthAt, writer.length - lengthAt - 2 + error);
}

function writeQuery(rng: Rng, { id, qname, qtype }: Plan): Uint8Array<ArrayBuffer> {
  const writer = new MessageWriter(rng);
  const hasOpt = rng.oneIn(2);
  writer.u16(id, 0x0100, 1, 0, 0, hasOpt ? 1 : 0);
  writer.name(qname, 'none');
  writer.u16(qtype, 1);
  if (hasOpt) writeRecord(rng, writer, draftOpt(rng), false);
  return writer.finish();
}

/** Faults that know nothing of the format. */
function spoilBytes(rng: Rng, message: Uint8Array<ArrayBuffer>): Uint8Array<ArrayBuffer> {
  if (rng.oneIn(12)) return message.slice(0, rng.below(message.length + 1));
  const spoilt = message.slice();
  if (rng.oneIn(5)) {
    for (let left = 1 + rng.below(3); left > 0; left -= 1) {
      spoilt[rng.below(spoilt.length)] = rng.pick([0, 0xff, 0xc0, 0x0c, 0x2e, rng.below(256)]);
    }
  }
  return spoilt;
}

function makeName(rng: Rng, isFaulty: boolean): Labels {
  const labels: Uint8Array[] = [];
  const isLong = isFaulty && rng.oneIn(40);
  const maxLabels = rng.oneIn(30) ? 12 : 4;
  let wireBytes = 10;
  for (let left = isLong ? 5 : rng.below(maxLabels) + 1; left > 0; left -= 1) {
    const label = isLong ? rng.bytes(45 + rng.below(12)).fill(0x61) : makeLabel(rng, isFaulty);
    wireBytes += label.length + 1;
    if (!isFaulty && wireBytes > MAX_NAME) break;
    labels.push(label);
  }
  return [...labels, TOP[rng.below(TOP.length)] ?? TEXT.encode('org')];
}

function makeLabel(rng: Rng, isFaulty: boolean): Uint8Array {
  if (isFaulty && rng.oneIn(25)) return rng.bytes(1 + rng.below(63));
  if (isFaulty && rng.oneIn(50)) return TEXT.encode(rng.pick(['a.b', 'x\0y', '.', 'x.gitlab']));
  // A small alphabet, so that names meet by chance, and suffixes are shared.
  const length = rng.oneIn(25) ? 1 + rng.below(63) : 1 + rng.below(3);
  return Uint8Array.from({ length }, () => rng.pick([0x61, 0x62, 0x2d, 0x5f, 0x31]));
}

function makeSignature(rng: Rng): Uint8Array {
  // 18 fixed bytes, the root as signer, a signature; RFC 4034 3.1.
  return Uint8Array.of(...rng.bytes(18), 0, ...rng.bytes(20 + rng.below(60)));
}

function makeServiceBinding(rng: Rng): Uint8Array {
  // Priority, target, parameters by rising key: alpn, port, ipv4hint, ech, ipv6hint; RFC 9460 2.2 and 7.
  if (rng.oneIn(6)) return Uint8Array.of(0, 0, 3, 0x61, 0x62, 0x63, 0);
  const parameters = [
    Uint8Array.of(0, 1, 0, 3, 2, 0x68, 0x32),
    Uint8Array.of(0, 3, 0, 2, 1, 0xbb),
    Uint8Array.of(0, 4, 0, 4, ...rng.bytes(4)),
    Uint8Array.of(0, 5, 0, 8, ...rng.bytes(8)),
    Uint8Array.of(0, 6, 0, 16, ...rng.bytes(16)),
  ].filter(() => rng.oneIn(2));
  return Buffer.concat([Uint8Array.of(0, 1, 0), ...parameters]);
}

/** What an answer may hold besides: NS, SOA, MX, TXT or SRV, most with a name in rdata. */
function draftOther(rng: Rng, owner: Labels): Draft {
  const target = makeName(rng, false);
  switch (rng.below(5)) {
    case 0:
      return draft(rng, owner, 2, { target });
    case 1:
      // The mailbox is the root here; RFC 1035 3.3.13.
      return draft(rng, owner, 6, { target, after: Uint8Array.of(0, ...rng.bytes(20)) });
    case 2:
      return draft(rng, owner, 15, { before: rng.bytes(2), target });
    case 3:
      return draft(rng, owner, 16, { bytes: Uint8Array.of(12, ...rng.bytes(12)) });
    default:
      return draft(rng, owner, 33, { before: rng.bytes(6), target });
  }
}

function draftAddress(rng: Rng, owner: Labels): Draft {
  const rtype = rng.pick([1, 28]);
  // Global unicast; what points inward is for other tests.
  const bytes = rng.bytes(rtype === 1 ? 4 : 16);
  bytes.set(rtype === 1 ? [45] : [0x20, 1, 0x0d, 0xb8]);
  return draft(rng, owner, rtype, { bytes });
}

function draftOpt(rng: Rng): Draft {
  const options = rng.oneIn(3) ? Uint8Array.of(0, 10, 0, 8, ...rng.bytes(8)) : new Uint8Array(0);
  return {
    owner: [],
    rtype: 41,
    rclass: rng.pick([512, 1232, 4096]),
    ttl: rng.pick([0, 0x8000]),
    rdata: { bytes: options },
  };
}

function draft(rng: Rng, owner: Labels, rtype: number, rdata: Draft['rdata']): Draft {
  const ttl = rng.pick([0, 1, 60, 300, HOUR, 0x7fffffff, 0x80000000, LONGEST_TTL]);
  return { owner, rtype, rclass: 1, ttl, rdata };
}

function chooseCompression(rng: Rng, isFaulty: boolean): Compression {
  if (isFaulty && rng.oneIn(60)) return badCompression(rng);
  return rng.oneIn(4) ? 'none' : 'shared';
}

function badCompression(rng: Rng): Compression {
  return rng.pick(['forward', 'self', 'header', 'mutual', 'reserved']);
}
