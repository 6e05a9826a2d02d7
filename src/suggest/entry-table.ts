import { mergePorts, type PortRange } from '../policy/port.ts';
import { joinPorts } from './ports.ts';
import type { Entry } from './suggestion.ts';

/* Of one name eight rules may be in force, and 32 that cover one address, with 16 ranges each: a suffix may stand
 * for the name as well, and a wider prefix for the address. */
const MAX_NAME_RANGES = 64;
const MAX_ADDRESS_RANGES = 256;
/** Names of one policy that may have leases; some more is an error. */
export const MAX_NAMES = 16_000;

interface Row {
  readonly names: Set<string>;
  readonly addresses: Set<string>;
  ports: PortRange[];
  hasMore: boolean;
}

/** Adds up what is to be allowed, by name and by bare address. */
export class EntryTable {
  readonly #names = new Map<string, Row>();
  readonly #addresses = new Map<string, Row>();
  #leftOut = 0;

  /** How many names there are. */
  get names(): number {
    return this.#names.size;
  }

  /** Whether a name is among them. */
  hasName(name: string): boolean {
    return this.#names.has(name);
  }

  /** Allows a name ports more; `addresses` are those that something was sent to. */
  addName(name: string, ports: readonly PortRange[], addresses: readonly string[], hasMore: boolean): void {
    if (this.#names.size >= MAX_NAMES && !this.#names.has(name)) {
      this.#leftOut += 1;
      return;
    }
    const row = rowOf(this.#names, name);
    row.ports.push(...ports);
    row.hasMore ||= hasMore;
    for (const address of addresses) row.addresses.add(address);
  }

  /** Allows a bare address ports more. @param names those that lead there, for remarks; escaped */
  addAddress(address: string, ports: readonly PortRange[], names: readonly string[]): void {
    const row = rowOf(this.#addresses, address);
    row.ports.push(...ports);
    row.addresses.add(address);
    for (const name of names) row.names.add(name);
  }

  /** Names, then addresses, each sorted. */
  entries(): Entry[] {
    const names = sorted(this.#names).map(
      ([name, row]): Entry => ({ wanted: { kind: 'name', name }, ...contentOf(row, MAX_NAME_RANGES) }),
    );
    const addresses = sorted(this.#addresses).map(
      ([address, row]): Entry => ({
        wanted: { kind: 'address', address, names: [...row.names].sort() },
        ...contentOf(row, MAX_ADDRESS_RANGES),
      }),
    );
    return [...names, ...addresses];
  }

  /** What the bounds of a policy changed. */
  get remarks(): string[] {
    const wider = [
      ...[...this.#names].filter(([, { ports }]) => joinPorts(ports, MAX_NAME_RANGES).isWider),
      ...[...this.#addresses].filter(([, { ports }]) => joinPorts(ports, MAX_ADDRESS_RANGES).isWider),
    ];
    return [
      ...wider.map(
        ([title]) =>
          `${title} has more ports than rules for it may have: those between the nearest are in the list, too`,
      ),
      ...(this.#leftOut > 0
        ? [
            `${this.#leftOut} flows to more names were left out: a policy has room for ${MAX_NAMES} names (-fold makes room)`,
          ]
        : []),
    ];
  }
}

function rowOf(rows: Map<string, Row>, key: string): Row {
  const row = rows.get(key) ?? { names: new Set(), addresses: new Set(), ports: [], hasMore: false };
  rows.set(key, row);
  row.ports = mergePorts(row.ports);
  return row;
}

function contentOf(
  { ports, addresses, hasMore }: Row,
  maxRanges: number,
): Pick<Entry, 'ports' | 'addresses' | 'hasMore'> {
  return { ports: joinPorts(ports, maxRanges).ports, addresses: [...addresses], hasMore };
}

function sorted(rows: ReadonlyMap<string, Row>): [string, Row][] {
  return [...rows].sort(([a], [b]) => (a < b ? -1 : 1));
}
