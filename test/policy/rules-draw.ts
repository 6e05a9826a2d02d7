import type { Rng } from '../dns/rng.ts';
import { numberOf, type PacketText, type PolicyTexts, type RuleText } from './rules-evaluator.ts';

const NOWHERE: readonly RuleText[] = [];
const LABELS = ['a', 'b', 'ab', 'api-1', 'api-2', 'ba'] as const;
const ZONES = ['test', 'b.test', 'a.b.test', 'example.com', 'com'] as const;
const PORTS = [
  '443',
  '443/tcp',
  '53',
  '53/udp',
  '400-500/tcp',
  '444-65535',
  '1-442/udp',
  '853/tcp',
  'tcp',
  '443/sctp',
  'icmp',
  'icmp:8',
  'icmpv6:128-129',
  'proto:47',
  'proto:17',
] as const;
const ACTIONS = ['allow', 'allow', 'allow', 'allow', 'deny', 'audit', 'lookup'] as const;
/** Rules that one policy of the model may have. */
const MOST_RULES = 14;

/** A policy whose rules meet: prefixes in one another, suffixes that overlap, names that several speak of. */
export function drawPolicy(rng: Rng): PolicyTexts {
  const rules = new Map<string, RuleText>();
  for (let left = 1 + rng.below(MOST_RULES); left > 0; left -= 1) {
    const rule = drawRule(rng, [...rules.values()]);
    rules.set(JSON.stringify({ ...rule, ports: [...rule.ports].sort() }), rule);
  }
  return {
    rules: [...rules.values()],
    strict: rng.oneIn(2),
    audit: rng.oneIn(8),
    privateAnswers: rng.oneIn(6),
  };
}

function drawRule(rng: Rng, before: readonly RuleText[] = NOWHERE): RuleText {
  const action = rng.pick(ACTIONS);
  const ports = rng.oneIn(2) ? [] : Array.from({ length: 1 + rng.below(3) }, () => rng.pick(PORTS));
  switch (action === 'lookup' ? 2 + rng.below(3) : rng.below(6)) {
    case 0:
      // Everywhere is too much to leave the others something.
      return rng.oneIn(6) ? { action, any: true, ports } : { action, ...drawPrefix(rng, before), ports };
    case 1:
    case 5:
      return { action, ...drawPrefix(rng, before), ports };
    // A name that is denied is so on all ports.
    case 2:
      return { action, cn: drawSuffix(rng), ports: action === 'deny' ? [] : ports };
    default:
      return { action, name: drawPattern(rng), ports: action === 'deny' ? [] : ports };
  }
}

function drawSuffix(rng: Rng): string {
  const zone = rng.pick(ZONES);
  return rng.pick([zone, `.${zone}`, `b.${zone}`, `-1.${zone}`]);
}

function drawPattern(rng: Rng): string {
  const zone = rng.pick(ZONES);
  const label = rng.pick(LABELS);
  return rng.pick([
    `${label}.${zone}`,
    `${label}.${zone}`,
    zone,
    `*.${zone}`,
    `**.${zone}`,
    `api-*.${zone}`,
    `*a*.${zone}`,
    `*.*.${zone}`,
    `**.a*.${zone}`,
    `${label}.*.${zone}`,
  ]);
}

/** A name that rules may speak of, most often one of them does; '' is the root. */
export function drawName(rng: Rng, { rules }: PolicyTexts): string {
  const texts = rules.flatMap(({ cn, name }) => [cn, name].filter((text) => text !== undefined));
  const text = texts[rng.below(texts.length)];
  if (text !== undefined && rng.oneIn(2)) {
    const label = () => rng.pick(LABELS);
    const front = text.startsWith('.') ? label() : rng.oneIn(4) ? `${label()}.` : '';
    return front + text.replace('**', `${label()}.${label()}`).replaceAll('*', label);
  }
  const labels = Array.from({ length: rng.below(3) }, () => rng.pick(LABELS));
  return [...labels, ...(rng.oneIn(30) ? [] : [rng.pick(ZONES)])].join('.');
}

export function drawQtype(rng: Rng): number {
  return rng.pick([1, 1, 1, 1, 28, 28, 28, 28, 2, 6, 43, 48, 16, 5, 10, 255, 65, 65_400, 257]);
}

function drawPrefix(rng: Rng, before: readonly RuleText[]) {
  const known = before.flatMap(({ cidr }) => (cidr === undefined ? [] : [cidr]));
  const cidr =
    known.length > 0 && rng.oneIn(2) ? within(rng, known[rng.below(known.length)] ?? '') : anew(rng);
  const except = Array.from({ length: rng.oneIn(3) ? 1 + rng.below(3) : 0 }, () => within(rng, cidr));
  // An exception is smaller than what it is of.
  return { cidr, except: [...new Set(except)].filter((prefix) => prefix !== cidr) };
}

function anew(rng: Rng): string {
  const isIpv4 = rng.oneIn(2);
  const bits = isIpv4
    ? rng.pick([0, 1, 8, 12, 15, 16, 17, 24, 31, 32])
    : rng.pick([0, 3, 32, 64, 65, 96, 127, 128]);
  return prefixOf(drawNumber(rng, isIpv4), bits, isIpv4);
}

/** A prefix in another one, or the same. */
function within(rng: Rng, prefix: string): string {
  const [network = '', bits = ''] = prefix.split('/');
  const isIpv4 = !network.includes(':');
  const width = isIpv4 ? 32 : 128;
  const longer = Math.min(width, Number(bits) + rng.pick([0, 1, 1, 2, 4, 8, width]));
  const left = BigInt(width - Number(bits));
  const number = ((numberOf(network) >> left) << left) | (drawNumber(rng, isIpv4) & ((1n << left) - 1n));
  return prefixOf(number, longer, isIpv4);
}

/** Where rules may speak of: an address of a prefix, next to one, or anywhere. */
export function drawAddress(rng: Rng, { rules }: PolicyTexts): string {
  const prefixes = rules.flatMap(({ cidr, except = [] }) => (cidr === undefined ? [] : [cidr, ...except]));
  const prefix = prefixes[rng.below(prefixes.length + 1)];
  if (prefix === undefined) {
    const isIpv4 = rng.oneIn(2);
    return addressOf(drawNumber(rng, isIpv4), isIpv4);
  }
  const [network = '', bits = ''] = prefix.split('/');
  const isIpv4 = !network.includes(':');
  const width = isIpv4 ? 32 : 128;
  const size = 1n << BigInt(width - Number(bits));
  const offset = rng.pick([-1n, 0n, size - 1n, size, drawNumber(rng, isIpv4) % size]);
  const number = numberOf(network) + offset;
  return addressOf(isOrdinary(number, isIpv4) ? number : drawNumber(rng, isIpv4), isIpv4);
}

/** What goes to the link itself, or to many, has rules of its own. */
function isOrdinary(number: bigint, isIpv4: boolean): boolean {
  if (isIpv4) return number >> 24n > 0n && number >> 28n < 0xen;
  return number >> 125n === 1n;
}

/* Few bits vary, so that addresses meet in prefixes. */
function drawNumber(rng: Rng, isIpv4: boolean): bigint {
  const base = isIpv4 ? numberOf('45.0.0.0') : numberOf('2001:db8::');
  const width = isIpv4 ? 24 : 96;
  let number = base;
  for (let left = rng.below(5); left > 0; left -= 1) number ^= 1n << BigInt(rng.below(width));
  return number;
}

function prefixOf(number: bigint, bits: number, isIpv4: boolean): string {
  const left = BigInt((isIpv4 ? 32 : 128) - bits);
  return `${addressOf((number >> left) << left, isIpv4)}/${bits}`;
}

/** The text of a number as an address. */
export function addressOf(number: bigint, isIpv4: boolean): string {
  const [parts, bits] = isIpv4 ? [4, 8n] : [8, 16n];
  const groups = Array.from({ length: parts }, (_, index) => {
    const group = (number >> (bits * BigInt(parts - 1 - index))) & ((1n << bits) - 1n);
    return isIpv4 ? `${group}` : group.toString(16);
  });
  return groups.join(isIpv4 ? '.' : ':');
}

/** A protocol and port, or type, for an address of its family. */
export function drawTransport(rng: Rng, to: string): Pick<PacketText, 'l4Proto' | 'port'> {
  const l4Proto = rng.pick([6, 6, 6, 17, 17, 132, 47, to.includes(':') ? 58 : 1]);
  if (l4Proto === 47) return { l4Proto, port: 0 };
  // Neighbour discovery, MLD and errors pass by other ways.
  if (l4Proto === 58) return { l4Proto, port: rng.pick([128, 129, 130, 144]) };
  if (l4Proto === 1) return { l4Proto, port: rng.pick([0, 8, 13, 9]) };
  return { l4Proto, port: rng.pick([443, 443, 442, 444, 53, 853, 399, 400, 500, 501, 1, 65_535]) };
}
