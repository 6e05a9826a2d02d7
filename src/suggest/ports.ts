import { MAX_PORTS, mergePorts, type PortRange } from '../policy/port.ts';

/**
 * The same ports with at most `max` ranges. Where there are more, those that are nearest to each other become one, with
 * what lies between them; `isWider` says so.
 */
export function joinPorts(
  ranges: readonly PortRange[],
  max: number = MAX_PORTS,
): { readonly ports: PortRange[]; readonly isWider: boolean } {
  const ports = mergePorts(ranges);
  const isWider = ports.length > max;
  while (ports.length > max) {
    const at = nearest(ports);
    const [low, high] = [ports[at], ports[at + 1]];
    if (!low || !high) break; // each is of another protocol
    ports.splice(at, 2, { ...low, high: high.high });
  }
  return { ports, isWider };
}

/* Index of the range whose successor of the same protocol begins the fewest ports behind it. */
function nearest(ports: readonly PortRange[]): number {
  let best = -1;
  let gap = Number.POSITIVE_INFINITY;
  for (const [index, { l4Proto, high }] of ports.entries()) {
    const next = ports[index + 1];
    if (next?.l4Proto !== l4Proto || next.low - high >= gap) continue;
    best = index;
    gap = next.low - high;
  }
  return best;
}

/** The ports in sets that a rule each can have. */
export function splitPorts(ports: readonly PortRange[]): PortRange[][] {
  const sets: PortRange[][] = [];
  for (let at = 0; at < ports.length; at += MAX_PORTS) sets.push(ports.slice(at, at + MAX_PORTS));
  return sets;
}

/** A text that is the same for the same ports. */
export function portsKey(ports: readonly PortRange[]): string {
  return ports.map(({ l4Proto, low, high }) => `${l4Proto}/${low}-${high}`).join(',');
}
