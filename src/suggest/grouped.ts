import type { PortRange } from '../policy/port.ts';
import { portsKey } from './ports.ts';
import type { Entry } from './suggestion.ts';

/** Entries with the same ports, in the order in which the first of each came. */
export interface PortGroup {
  readonly ports: readonly PortRange[];
  readonly entries: readonly Entry[];
}

/** Entries by their ports: what a rule of a file holds. */
export function groupByPorts(entries: readonly Entry[]): PortGroup[] {
  const groups = new Map<string, { readonly ports: readonly PortRange[]; readonly entries: Entry[] }>();
  for (const entry of entries) {
    const key = portsKey(entry.ports);
    const group = groups.get(key) ?? { ports: entry.ports, entries: [] };
    group.entries.push(entry);
    groups.set(key, group);
  }
  return [...groups.values()];
}
