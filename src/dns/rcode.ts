/* IANA DNS RCODEs, which fit into the header of a message (RFC 1035 4.1.1), by their number. */
const WORDS = [
  'noerror',
  'formerr',
  'servfail',
  'nxdomain',
  'notimp',
  'refused',
  'yxdomain',
  'yxrrset',
  'nxrrset',
  'notauth',
  'notzone',
  'dsotypeni',
];

/** The lower-case mnemonic of a response code, `rcode-15` where it has none. */
export function rcodeWord(rcode: number): string {
  return WORDS[rcode] ?? `rcode-${rcode}`;
}
