import { CLASS_IN, RecordType } from './record-type.ts';
import { encodeName } from './wire-name.ts';

/** What a query may also have: `edns`, the UDP payload size offered in an OPT record (RFC 6891). */
export interface QueryOptions {
  readonly edns?: number;
}

const FLAG_RECURSION_DESIRED = 0x0100;
const HEADER_BYTES = 12;
const QUESTION_TAIL_BYTES = 4;
const OPT_BYTES = 11;

/** Encodes a recursive query for `name` (text form), class IN. Throws UsageError for a malformed name. */
export function encodeQuery(
  id: number,
  name: string,
  qtype: number,
  { edns }: QueryOptions = {},
): Uint8Array<ArrayBuffer> {
  const wire = encodeName(name);
  const end = HEADER_BYTES + wire.length + QUESTION_TAIL_BYTES;
  const message = new Uint8Array(end + (edns === undefined ? 0 : OPT_BYTES));
  const view = new DataView(message.buffer);
  view.setUint16(0, id);
  view.setUint16(2, FLAG_RECURSION_DESIRED);
  view.setUint16(4, 1);
  message.set(wire, HEADER_BYTES);
  view.setUint16(end - 4, qtype);
  view.setUint16(end - 2, CLASS_IN);
  if (edns !== undefined) {
    view.setUint16(10, 1);
    // Owner: the root. Version, flags and rdata length stay 0.
    view.setUint16(end + 1, RecordType.opt);
    view.setUint16(end + 3, edns);
  }
  return message;
}
