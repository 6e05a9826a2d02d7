/** IP protocol numbers that have ports or types (IANA). */
export const Protocol = { icmp: 1, tcp: 6, udp: 17, icmpv6: 58 } as const;

const words = new Map<number, string>([
  // What a packet has that could not be read so far.
  [0, 'ip'],
  [2, 'igmp'],
  [4, 'ipip'],
  [41, 'ipv6'],
  [47, 'gre'],
  [50, 'esp'],
  [51, 'ah'],
  [132, 'sctp'],
  [136, 'udplite'],
  ...Object.entries(Protocol).map(([word, number]): [number, string] => [number, word]),
]);

/** The lower-case word of an IP protocol, `proto-253` where it has none, `ip` for 0. */
export function protocolWord(l4Proto: number): string {
  return words.get(l4Proto) ?? `proto-${l4Proto}`;
}

const numbers = new Map([...words].map(([number, word]): [string, number] => [word, number]));

/** The number of a protocol's word, as `protocolWord` writes it; undefined for another text. */
export function protocolNumber(word: string): number | undefined {
  const [, digits] = /^proto[-:](\d{1,3})$/u.exec(word) ?? [];
  const number = digits === undefined ? numbers.get(word) : Number(digits);
  return number !== undefined && number <= 255 ? number : undefined;
}
