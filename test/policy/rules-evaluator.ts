/**
 * What a policy says of packets and lookups, read off its texts by README and design, one rule after the other: nothing
 * here is shared with the compiler, and nothing is quick.
 */

/** A rule as its owner writes it; one of `any`, `cidr`, `cn` and `name`. */
export interface RuleText {
  readonly action: 'allow' | 'deny' | 'audit' | 'lookup';
  readonly any?: boolean;
  readonly cidr?: string;
  readonly except?: readonly string[];
  readonly cn?: string;
  readonly name?: string;
  /** As `-port` takes them; none = everything. */
  readonly ports: readonly string[];
}

/** A policy as its owner writes it. */
export interface PolicyTexts {
  readonly rules: readonly RuleText[];
  readonly strict: boolean;
  readonly audit: boolean;
  readonly privateAnswers: boolean;
}

/** A first packet; `leased` are the positions of rules that have a lease on the address. */
export interface PacketText {
  readonly to: string;
  readonly l4Proto: number;
  /** For ICMP the type, 0 where there is none. */
  readonly port: number;
  readonly leased: readonly number[];
}

/** What becomes of it; `rules` are the positions of those that may be named as the one that decides. */
export interface Expected {
  readonly passes: boolean;
  readonly verdict: 'allow' | 'deny' | 'would_deny';
  readonly reason: string;
  readonly rules: readonly number[];
}

const [ICMP, TCP, UDP, ICMPV6, SCTP] = [1, 6, 17, 58, 132];

export function judgePacket({ rules, strict, audit }: PolicyTexts, packet: PacketText): Expected {
  const speaking = rules.flatMap((rule, index) => {
    const isOfAddress = rule.any === true || (rule.cidr !== undefined && coversAddress(rule, packet.to));
    const isLeased = packet.leased.includes(index);
    return isOfAddress || isLeased ? [{ rule, index, isLeased: !isOfAddress }] : [];
  });
  const open = speaking.filter(({ rule }) => coversPort(rule, strict, packet));
  const indexes = (found: typeof open) => found.map(({ index }) => index);
  const denying = open.filter(({ rule }) => rule.action === 'deny');
  const refused = (reason: string, by: readonly number[]): Expected => ({
    passes: audit,
    verdict: audit ? 'would_deny' : 'deny',
    reason,
    rules: by,
  });
  if (denying.length > 0) return refused('deny-cidr', indexes(denying).slice(0, 1));
  const allowing = open.filter(({ rule }) => rule.action === 'allow');
  const byAddress = allowing.filter(({ isLeased }) => !isLeased);
  if (byAddress.length > 0) {
    return { passes: true, verdict: 'allow', reason: 'rule-cidr', rules: indexes(byAddress).slice(0, 1) };
  }
  if (allowing.length > 0)
    return { passes: true, verdict: 'allow', reason: 'rule-name', rules: indexes(allowing) };
  const audited = open.filter(({ rule }) => rule.action === 'audit');
  if (audited.length > 0)
    return { passes: true, verdict: 'would_deny', reason: 'audit', rules: indexes(audited) };
  const isListed = speaking.some(({ rule }) => rule.action === 'allow' || rule.action === 'audit');
  return refused(isListed ? 'port' : 'no-rule', []);
}

/** A lookup; `aliased` are the positions of rules by which its name is listed as the target of a CNAME. */
export interface LookupText {
  readonly name: string;
  readonly qtype: number;
  readonly aliased: readonly number[];
}

/** `leasing`: positions of the rules that get leases from its answer. */
export interface ExpectedLookup {
  readonly passes: boolean;
  readonly reason: string;
  readonly leasing: readonly number[];
}

/** A, NS, SOA, DS, DNSKEY: what is asked of the names above a listed one. */
const WALK = [1, 2, 6, 43, 48];
/** With these, what may be asked of names under a wildcard. */
const COMMON = [...WALK, 5, 12, 15, 16, 28, 33, 35, 52, 64, 65, 257];

export function judgeLookup({ rules, strict, audit }: PolicyTexts, lookup: LookupText): ExpectedLookup {
  const { name, qtype, aliased } = lookup;
  const ofName = rules.flatMap((rule, index) => (speaksOfName(rule, name) ? [{ rule, index }] : []));
  const refused = (reason: string): ExpectedLookup => ({ passes: audit, reason, leasing: [] });
  if (ofName.some(({ rule }) => rule.action === 'deny')) return refused('dns-denied');
  const own = ofName.filter(({ rule }) => rule.action === 'allow' || rule.action === 'audit');
  const leasing = own.length > 0 ? own.map(({ index }) => index) : aliased;
  const isListed = leasing.length > 0 || ofName.some(({ rule }) => rule.action === 'lookup');
  if (strict && !isListed) {
    const isAbove = rules.some((rule) => rule.action !== 'deny' && lies(rule, name));
    if (!isAbove || !WALK.includes(qtype)) return refused('dns-strict');
  }
  const isNamed = ofName.some(({ rule }) => rule.name !== undefined && !rule.name.includes('*'));
  if (strict && isListed && !isNamed && !COMMON.includes(qtype)) return refused('dns-type');
  return { passes: true, reason: '', leasing };
}

/** Whether an answer's address that points inward is learned. */
export function takesInward({ rules, privateAnswers }: PolicyTexts, address: string): boolean {
  const isListed = rules.some(
    (rule) =>
      (rule.action === 'allow' || rule.action === 'audit') &&
      (rule.any === true || (rule.cidr !== undefined && coversAddress(rule, address))),
  );
  return privateAnswers || isListed;
}

function coversAddress({ cidr = '', except = [] }: RuleText, address: string): boolean {
  return isWithin(cidr, address) && !except.some((prefix) => isWithin(prefix, address));
}

function isWithin(prefix: string, address: string): boolean {
  const [network = '', bits] = prefix.split('/');
  if (network.includes(':') !== address.includes(':')) return false;
  const width = address.includes(':') ? 128 : 32;
  const left = BigInt(width - Number(bits ?? width));
  return numberOf(network) >> left === numberOf(address) >> left;
}

/** An address as a number; IPv6 with one `::` at most. */
export function numberOf(address: string): bigint {
  if (!address.includes(':')) return address.split('.').reduce((sum, byte) => sum * 256n + BigInt(byte), 0n);
  const [head = '', tail] = address.split('::');
  const groups = (text: string) => (text === '' ? [] : text.split(':'));
  const [front, back] = [groups(head), groups(tail ?? '')];
  const zeros = Array.from({ length: 8 - front.length - back.length }, () => '0');
  return [...front, ...zeros, ...back].reduce((sum, group) => sum * 65_536n + BigInt(`0x${group}`), 0n);
}

function coversPort({ action, ports }: RuleText, strict: boolean, { l4Proto, port }: PacketText): boolean {
  // Under strict DNS, whoever is to be asked at another resolver's ports has to name them.
  if (ports.length === 0) return !(strict && action !== 'deny' && (port === 53 || port === 853));
  return ports.some((text) => {
    const [head = '', word] = text.split('/');
    if (head === 'icmp') return l4Proto === ICMP || l4Proto === ICMPV6;
    if (head === 'tcp') return l4Proto === TCP;
    if (head.startsWith('icmp:')) return l4Proto === ICMP && isInRange(head.slice(5), port);
    if (head.startsWith('icmpv6:')) return l4Proto === ICMPV6 && isInRange(head.slice(7), port);
    if (head.startsWith('proto:')) return l4Proto === Number(head.slice(6));
    const words = { tcp: [TCP], udp: [UDP], sctp: [SCTP] };
    const protocols = word === 'tcp' || word === 'udp' || word === 'sctp' ? words[word] : [TCP, UDP];
    return protocols.includes(l4Proto) && isInRange(head, port);
  });
}

function isInRange(range: string, number: number): boolean {
  const [low = '', high = low] = range.split('-');
  return Number(low) <= number && number <= Number(high);
}

function speaksOfName({ cn, name: pattern }: RuleText, name: string): boolean {
  if (cn !== undefined) return name.endsWith(cn);
  if (pattern === undefined) return false;
  const deep = pattern.startsWith('**.');
  const labels = (deep ? pattern.slice(3) : pattern).split('.');
  const source = labels.map((label) => label.replaceAll('*', '[^.]*')).join('\\.');
  return new RegExp(`^${deep ? '([^.]+\\.)+' : ''}${source}$`, 'u').test(name);
}

/** Whether the rule's names lie below the name; the root is above all. */
function lies({ cn, name: pattern }: RuleText, name: string): boolean {
  const text = cn ?? pattern;
  return text !== undefined && (name === '' || text.endsWith(`.${name}`));
}
