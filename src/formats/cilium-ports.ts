import type { NameMatch } from '../policy/name.ts';
import { mergePorts, type PortRange } from '../policy/port.ts';
import { readIcmp } from './cilium-icmp.ts';
import { readNames } from './cilium-name.ts';
import { readPort } from './cilium-port.ts';
import { leaveOut } from './leave-out.ts';
import type { MapValue, Value } from './value.ts';

/** Members of an entry that limit what passes by it, which nothing here can do. */
const PROXIED = ['serverNames', 'terminatingTLS', 'originatingTLS', 'listener'] as const;
const L7 = ['http', 'kafka', 'l7', 'l7proto'] as const;
const DNS_PORT = 53;
/** Ports of one entry (pkg/policy/api/rule_validation.go). */
const MAX_ENTRIES = 40;

/** Names that may be looked up by one entry of `toPorts`; `value` is its `rules.dns`. */
export interface Lookups {
  readonly value: Value;
  readonly names: readonly NameMatch[];
}

/** What `toPorts` and `icmps` of one rule say. */
export interface Ports {
  /** What may pass, [] = nothing; undefined = neither is there, everything may. */
  readonly ranges: readonly PortRange[] | undefined;
  readonly lookups: readonly Lookups[];
  /** Lookups are all that it lets pass. */
  readonly isDnsOnly: boolean;
}

interface Entry {
  readonly ranges: readonly PortRange[];
  readonly lookups?: Lookups;
}

/**
 * Reads `toPorts` and `icmps`. Its entries are a union, and one without ports is of nothing. An entry of which a part
 * is not enforced would let pass more than it says without that part, so all of it is left out.
 */
export function readPorts(rule: MapValue, action: 'allow' | 'deny'): Ports {
  const toPorts = rule.getNonNull('toPorts')?.list() ?? [];
  const icmpsValue = rule.getNonNull('icmps');
  const icmps = icmpsValue?.list() ?? [];
  if (toPorts.length > 0 && icmps.length > 0)
    icmpsValue?.error('stands beside toPorts: a rule of its own is legal');
  const read = action === 'deny' ? readDenyEntry : readEntry;
  const entries: Entry[] = [
    ...toPorts.map(read),
    ...icmps.map((each) => ({ ranges: readIcmp(each, action) })),
  ];
  const lookups = entries.flatMap((entry) => entry.lookups ?? []);
  return {
    // An empty list is as good as none (pkg/policy/api/egress.go: "If omitted or empty, the member has no effect").
    ranges: entries.length > 0 ? mergePorts(entries.flatMap(({ ranges }) => ranges)) : undefined,
    lookups,
    isDnsOnly: lookups.length > 0 && lookups.length === entries.length,
  };
}

function readDenyEntry(value: Value): Entry {
  const map = value.map('a map with "ports" is legal');
  const ports = map ? takePorts(map) : [];
  map?.end();
  if (ports.length === 0) value.warn('denies nothing: it lists no "ports"');
  return { ranges: ports.flatMap((each) => readPort(each, 'deny')) };
}

function readEntry(value: Value): Entry {
  const map = value.map('a map with "ports" and "rules" is legal');
  if (!map) return { ranges: [] };
  const ports = takePorts(map);
  const ranges = ports.flatMap((each) => readPort(each, 'allow'));
  const rules = map.getNonNull('rules')?.map();
  const barred = [
    ...PROXIED.map((key) => map.getNonNull(key)),
    ...L7.map((key) => rules?.getNonNull(key)),
  ].filter((member) => member && !(member.isList && member.list()?.length === 0));
  for (const member of barred) {
    if (member) leaveOut(member, `is not enforced, so nothing passes by ${value.path}`, 'allow');
  }
  const dns = rules?.getNonNull('dns');
  const names = dns?.list();
  rules?.end();
  map.end();
  // No names = no rule for lookups (layer7.rst: "If no rules are specified, then all traffic is permitted").
  if (!dns || !names || names.length === 0) return { ranges: barred.length > 0 ? [] : ranges };
  const lookups = { value: dns, names: names.flatMap(readNames) };
  if (ports.length === 0) dns.error('stands in an entry without ports: port "53" is legal');
  const isDns = ranges.every(({ low, high }) => low === DNS_PORT && high === DNS_PORT);
  if (!isDns) {
    leaveOut(
      dns,
      `is held at port 53 of the trusted resolvers only, so nothing passes by ${value.path}`,
      'allow',
    );
  }
  return isDns && ranges.length > 0 && barred.length === 0 ? { ranges: [], lookups } : { ranges: [] };
}

function takePorts(entry: MapValue): readonly Value[] {
  const value = entry.getNonNull('ports');
  const ports = value?.list() ?? [];
  if (ports.length > MAX_ENTRIES)
    value?.error(`has ${ports.length} entries: at most ${MAX_ENTRIES} are legal`);
  return ports;
}
