import { MAPPED_BITS } from './prefix.ts';

/** Bytes of an address in a table of prefixes. */
export const ADDRESS_BYTES = 16;

/** ::ffff:0:0, of which every IPv4 address has the first 96 bits. */
export const IPV4_ROOT: Readonly<Uint8Array> = Uint8Array.from({ length: ADDRESS_BYTES }, (_, at) =>
  at === 10 || at === 11 ? 0xff : 0,
);

const IPV4_AT = MAPPED_BITS / 8;
/** In the key of an IPv4 prefix: address, then length, then this many bits of the row. */
const ROW_BITS = 26;
const LOW_WORD = new Uint32Array(BigUint64Array.of(1n).buffer)[0] === 1 ? 0 : 1;

/**
 * The positions of prefixes by address, then length, so that a prefix stands behind those around it.
 * Equal ones keep their order. At most 2 ** 26 prefixes.
 */
export function sortPrefixes(addrs: Uint8Array, bits: Uint8Array): Uint32Array {
  const count = bits.length;
  const ipv4 = new Uint32Array(count);
  const others = new Uint32Array(count);
  let ipv4Count = 0;
  let otherCount = 0;
  for (let row = 0; row < count; row += 1) {
    if (compareToIpv4(addrs, row) === 0 && (bits[row] ?? 0) >= MAPPED_BITS) ipv4[ipv4Count++] = row;
    else others[otherCount++] = row;
  }
  const sorted = sortIpv4(addrs, bits, ipv4.subarray(0, ipv4Count));
  if (otherCount === 0) return sorted;
  const around = sortBytes(addrs, bits, others.subarray(0, otherCount));
  const behind = around.findIndex((row) => compareToIpv4(addrs, row) > 0);
  const before = behind < 0 ? around : around.subarray(0, behind);
  const order = new Uint32Array(count);
  order.set(before);
  order.set(sorted, before.length);
  order.set(around.subarray(before.length), before.length + ipv4Count);
  return order;
}

/** Below, in or above the addresses of IPv4. */
function compareToIpv4(addrs: Uint8Array, row: number): number {
  for (let at = 0; at < IPV4_AT; at += 1) {
    const difference = (addrs[row * ADDRESS_BYTES + at] ?? 0) - (IPV4_ROOT[at] ?? 0);
    if (difference !== 0) return difference;
  }
  return 0;
}

/** As 64-bit numbers: the engine sorts those without calling back. */
function sortIpv4(addrs: Uint8Array, bits: Uint8Array, rows: Uint32Array): Uint32Array {
  const keys = new BigUint64Array(rows.length);
  const words = new Uint32Array(keys.buffer);
  const view = new DataView(addrs.buffer, addrs.byteOffset, addrs.byteLength);
  for (let at = 0; at < rows.length; at += 1) {
    const row = rows[at] ?? 0;
    words[2 * at + LOW_WORD] = ((bits[row] ?? 0) - MAPPED_BITS) * 2 ** ROW_BITS + row;
    words[2 * at + 1 - LOW_WORD] = view.getUint32(row * ADDRESS_BYTES + IPV4_AT);
  }
  keys.sort();
  const order = new Uint32Array(rows.length);
  for (let at = 0; at < order.length; at += 1) {
    order[at] = (words[2 * at + LOW_WORD] ?? 0) & (2 ** ROW_BITS - 1);
  }
  return order;
}

/** A radix sort: bytes that are the same in all rows cost one look each. */
function sortBytes(addrs: Uint8Array, bits: Uint8Array, rows: Uint32Array): Uint32Array {
  let order: Uint32Array = rows;
  let spare: Uint32Array = new Uint32Array(rows.length);
  const sortBy = (keys: Uint8Array, stride: number, offset: number): void => {
    const starts = new Uint32Array(257);
    for (const row of order) bump(starts, (keys[row * stride + offset] ?? 0) + 1);
    if (starts.includes(order.length)) return;
    for (let key = 1; key < starts.length; key += 1)
      starts[key] = (starts[key] ?? 0) + (starts[key - 1] ?? 0);
    for (let at = 0; at < order.length; at += 1) {
      const row = order[at] ?? 0;
      spare[bump(starts, keys[row * stride + offset] ?? 0)] = row;
    }
    [order, spare] = [spare, order];
  };
  sortBy(bits, 1, 0);
  for (let byte = ADDRESS_BYTES - 1; byte >= 0; byte -= 1) sortBy(addrs, ADDRESS_BYTES, byte);
  return order;
}

/** Adds one to a counter and returns what it was. */
function bump(counters: Uint32Array, at: number): number {
  const before = counters[at] ?? 0;
  counters[at] = before + 1;
  return before;
}
