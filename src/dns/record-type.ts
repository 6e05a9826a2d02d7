/** Numbers of the record types that are looked at (IANA DNS parameters). */
export const RecordType = {
  a: 1,
  ns: 2,
  cname: 5,
  soa: 6,
  ptr: 12,
  mx: 15,
  txt: 16,
  aaaa: 28,
  srv: 33,
  naptr: 35,
  dname: 39,
  opt: 41,
  ds: 43,
  rrsig: 46,
  nsec: 47,
  dnskey: 48,
  tlsa: 52,
  svcb: 64,
  https: 65,
  any: 255,
  caa: 257,
} as const;

/** Class IN, the Internet (RFC 1035 3.2.4). */
export const CLASS_IN = 1;

const words = new Map<number, string>(Object.entries(RecordType).map(([word, rtype]) => [rtype, word]));

/** The lower-case mnemonic of a record type, `type4711` where it has none (RFC 3597 5). */
export function recordTypeWord(rtype: number): string {
  return words.get(rtype) ?? `type${rtype}`;
}
