import { CLASS_IN, RecordType } from './record-type.ts';
import { type NameFault, readName } from './wire-name.ts';

/** Names that a chain may have, the question's included; as MAX_CHAIN in bpf/scratch.h. */
export const MAX_CHAIN = 16;

/** What was asked; `name` in the text form of `readName`. */
export interface Question {
  readonly id: number;
  readonly name: string;
  readonly qtype: number;
}

/** One address record on the chain: 16 bytes, IPv4 as ::ffff:a.b.c.d; `ttl` raw as on the wire. */
export interface LearnedAddress {
  readonly addr: Uint8Array<ArrayBuffer>;
  readonly ttl: number;
  readonly owner: string;
}

/** Why a message teaches nothing; a closed list. */
export type AnswerFault =
  | NameFault
  | 'size'
  | 'not-response'
  | 'opcode'
  | 'question-count'
  | 'question-class'
  | 'question-differs'
  | 'truncated'
  | 'rcode'
  | 'record-past-end'
  | 'rdata-length'
  | 'cname-target'
  | 'cname-loop'
  | 'chain-length'
  | 'trailing-bytes';

/**
 * What an answer says. `chain` begins with the question's name and ends with the last CNAME target.
 * `hints`: HTTPS or SVCB records are there, whose address hints are not read.
 */
export type Answer =
  | {
      readonly status: 'learned';
      readonly id: number;
      readonly qname: string;
      readonly qtype: number;
      readonly chain: readonly string[];
      readonly addresses: readonly LearnedAddress[];
      readonly hints: boolean;
    }
  | { readonly status: 'refused'; readonly reason: AnswerFault };

interface ResourceRecord {
  readonly owner: string;
  readonly rtype: number;
  readonly rclass: number;
  readonly ttl: number;
  readonly rdata: number;
  readonly end: number;
}

/** A step of the walk: where the message goes on, or why it does not. */
type Step<T> =
  | { readonly ok: true; readonly value: T }
  | { readonly ok: false; readonly reason: AnswerFault };

const HEADER_BYTES = 12;
const RECORD_HEADER_BYTES = 10;
const MAX_MESSAGE = 65_535;
const FLAG_RESPONSE = 0x8000;
const MASK_OPCODE = 0x7800;
const FLAG_TRUNCATED = 0x0200;
const MASK_RCODE = 0x000f;

/**
 * Decodes the answer to `question`, or to the question it carries when none is given; it does not
 * throw. The reference for bpf/answer.h, which must never be looser. An address is learned when its
 * owner is the end, at that point of the message, of the chain that starts at the question; an address
 * before its CNAME, of another owner, in another section or class, or v4-mapped in an AAAA is skipped.
 * Only a message whose every record could be walked, to its last byte, teaches.
 * The rcode is that of the header (RFC 1035 4.1.1), without EDNS's upper bits.
 */
export function decodeAnswer(message: Uint8Array, question?: Question): Answer {
  if (message.length < HEADER_BYTES || message.length > MAX_MESSAGE) return refused('size');
  const view = new DataView(message.buffer, message.byteOffset, message.byteLength);
  const flags = view.getUint16(2);
  if ((flags & FLAG_RESPONSE) === 0) return refused('not-response');
  if ((flags & MASK_OPCODE) !== 0) return refused('opcode');
  if (view.getUint16(4) !== 1) return refused('question-count');
  const asked = readQuestion(message, view);
  if (!asked.ok) return refused(asked.reason);
  const { id, name, qtype, end } = asked.value;
  if (question && (question.id !== id || question.name !== name || question.qtype !== qtype)) {
    return refused('question-differs');
  }
  if ((flags & FLAG_TRUNCATED) !== 0) return refused('truncated');
  if ((flags & MASK_RCODE) !== 0) return refused('rcode');

  const walk = new AnswerWalk(message, name);
  let offset = end;
  for (const section of ['answer', 'authority', 'additional'] as const) {
    for (let left = view.getUint16(COUNT_OFFSETS[section]); left > 0; left -= 1) {
      const record = readRecord(message, view, offset);
      if (!record.ok) return refused(record.reason);
      const fault = section === 'answer' ? walk.take(record.value) : undefined;
      if (fault) return refused(fault);
      offset = record.value.end;
    }
  }
  if (offset !== message.length) return refused('trailing-bytes');
  return { status: 'learned', id, qname: name, qtype, ...walk.result() };
}

const COUNT_OFFSETS = { answer: 6, authority: 8, additional: 10 } as const;

/** The chain and what it has led to so far. */
class AnswerWalk {
  readonly #message: Uint8Array;
  readonly #chain: string[];
  readonly #addresses: LearnedAddress[] = [];
  #end: string;
  #hints = false;

  constructor(message: Uint8Array, qname: string) {
    this.#message = message;
    this.#chain = [qname];
    this.#end = qname;
  }

  /** Takes a record of the answer section. Returns what is wrong with it, if it spoils the message. */
  take(record: ResourceRecord): AnswerFault | undefined {
    if (record.rclass !== CLASS_IN) return undefined;
    if (record.rtype === RecordType.https || record.rtype === RecordType.svcb) this.#hints = true;
    if (record.owner !== this.#end) return undefined;
    switch (record.rtype) {
      case RecordType.a:
      case RecordType.aaaa:
        this.#takeAddress(record);
        return undefined;
      case RecordType.cname:
        return this.#takeAlias(record);
      default:
        return undefined;
    }
  }

  result(): Pick<Extract<Answer, { status: 'learned' }>, 'chain' | 'addresses' | 'hints'> {
    return { chain: this.#chain, addresses: this.#addresses, hints: this.#hints };
  }

  #takeAddress({ rtype, ttl, owner, rdata, end }: ResourceRecord): void {
    const addr = new Uint8Array(16);
    if (rtype === RecordType.a) {
      addr.fill(0xff, 10, 12);
      addr.set(this.#message.subarray(rdata, end), 12);
    } else {
      addr.set(this.#message.subarray(rdata, end));
      // It would stand for the IPv4 address, and packets that carry it are refused.
      if (isMapped(addr)) return;
    }
    this.#addresses.push({ addr, ttl, owner });
  }

  #takeAlias({ rdata, end }: ResourceRecord): AnswerFault | undefined {
    const target = readName(this.#message, rdata);
    if (target.status === 'refused') return target.reason;
    if (target.end !== end) return 'cname-target';
    if (this.#chain.includes(target.name)) return 'cname-loop';
    if (this.#chain.length === MAX_CHAIN) return 'chain-length';
    this.#chain.push(target.name);
    this.#end = target.name;
    return undefined;
  }
}

function readQuestion(message: Uint8Array, view: DataView): Step<Question & { readonly end: number }> {
  // Nothing lies between the header and this name, so readName takes no pointer in it.
  const reading = readName(message, HEADER_BYTES);
  if (reading.status === 'refused') return { ok: false, reason: reading.reason };
  const { name, end } = reading;
  if (end + 4 > message.length) return { ok: false, reason: 'record-past-end' };
  if (view.getUint16(end + 2) !== CLASS_IN) return { ok: false, reason: 'question-class' };
  return { ok: true, value: { id: view.getUint16(0), name, qtype: view.getUint16(end), end: end + 4 } };
}

function readRecord(message: Uint8Array, view: DataView, offset: number): Step<ResourceRecord> {
  const reading = readName(message, offset);
  if (reading.status === 'refused') return { ok: false, reason: reading.reason };
  const at = reading.end;
  const rdata = at + RECORD_HEADER_BYTES;
  if (rdata > message.length) return { ok: false, reason: 'record-past-end' };
  const rtype = view.getUint16(at);
  const rclass = view.getUint16(at + 2);
  const rdataBytes = view.getUint16(at + 8);
  const end = rdata + rdataBytes;
  if (end > message.length) return { ok: false, reason: 'record-past-end' };
  if (rclass === CLASS_IN && isWrongLength(rtype, rdataBytes)) return { ok: false, reason: 'rdata-length' };
  return { ok: true, value: { owner: reading.name, rtype, rclass, ttl: view.getUint32(at + 4), rdata, end } };
}

function isWrongLength(rtype: number, rdataBytes: number): boolean {
  return (rtype === RecordType.a && rdataBytes !== 4) || (rtype === RecordType.aaaa && rdataBytes !== 16);
}

function isMapped(addr: Uint8Array): boolean {
  return addr.subarray(0, 10).every((byte) => byte === 0) && addr[10] === 0xff && addr[11] === 0xff;
}

function refused(reason: AnswerFault): Answer {
  return { status: 'refused', reason };
}
