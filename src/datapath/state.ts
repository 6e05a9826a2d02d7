import { SystemError, UnsupportedError } from '../errors.ts';
import { BpfMap } from '../libbpf/map.ts';
import { type LoadedObject, loadObject } from '../libbpf/object.ts';
import type { BpfProgram } from '../libbpf/program.ts';
import { Scope } from '../scope.ts';
import { ENUMS, LIMITS } from './layout.ts';
import type { Pins } from './pins.ts';
import { encodeStruct, readField } from './struct.ts';

/** Maps with one inner map per slot. */
export const POLICY_MAPS = ['names', 'patterns', 'prefixes', 'hosts', 'sets', 'rules', 'policies'] as const;
export type PolicyMapName = (typeof POLICY_MAPS)[number];

/** Maps that outlive a swap. */
export const STATE_MAPS = [
  'control',
  'resolvers',
  'flows',
  'inbound',
  'inbound_new',
  'learned',
  'lease_ring',
  'pending_queries',
  'observed_queries',
  'dns_streams',
  'aliases',
  'fragments',
  'series',
  'procs',
  'dhcp_servers',
  'own_addresses',
  'enforced',
  'counters',
  'rule_states',
  'onlink',
  'socket_flows',
  'events',
] as const;
export type StateMapName = (typeof STATE_MAPS)[number];

/* control comes last: pins without it are what an interrupted start or clean left. */
const ALL_MAPS: readonly (PolicyMapName | StateMapName)[] = [
  ...POLICY_MAPS,
  ...STATE_MAPS.filter((name) => name !== 'control'),
  'control',
];

/** Key of the only entry of an array map. */
export const ONLY = Buffer.alloc(4);

/**
 * The maps of an instance and its loaded programs. Owns their descriptors; the pins, where there are
 * any, are the caller's to remove.
 */
export class DatapathState implements Disposable {
  readonly #maps: ReadonlyMap<string, BpfMap>;
  readonly #programs: ReadonlyMap<string, BpfProgram>;
  readonly #scope: Scope;

  constructor(maps: ReadonlyMap<string, BpfMap>, programs: ReadonlyMap<string, BpfProgram>, scope: Scope) {
    this.#maps = maps;
    this.#programs = programs;
    this.#scope = scope;
  }

  map(name: PolicyMapName | StateMapName): BpfMap {
    const map = this.#maps.get(name);
    if (!map) throw new RangeError(`no map "${name}"`);
    return map;
  }

  program(name: string): BpfProgram {
    const program = this.#programs.get(name);
    if (!program) throw new RangeError(`program "${name}" was not loaded`);
    return program;
  }

  /** Idempotent. */
  close(): void {
    this.#scope.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }
}

/** A fresh instance: loads the object, fills control. Nothing is pinned. */
export function createState(
  objectPath: string,
  programs: readonly string[],
  netnsCookie: bigint,
  hashSeed: bigint,
): DatapathState {
  const state = take(
    loadObject(objectPath, (object) => selectPrograms(object, programs)),
    programs,
  );
  state.map('control').set(
    ONLY,
    encodeStruct('control', {
      layout: LIMITS.LAYOUT_VERSION,
      netns_cookie: netnsCookie,
      hash_seed: hashSeed,
      next_rule_id: 1,
    }),
  );
  return state;
}

/** Pins every map of the state. */
export function pinState(state: DatapathState, pins: Pins): void {
  for (const name of ALL_MAPS) state.map(name).pin(pins.map(name));
}

/**
 * Adopts pinned maps; loads the programs anew around them.
 * Throws UnsupportedError when the pins are of another layout, and changes nothing.
 */
export function adoptState(objectPath: string, programs: readonly string[], pins: Pins): DatapathState {
  const scope = new Scope();
  try {
    const pinned = openPinnedMaps(pins, scope);
    return take(
      loadObject(objectPath, (object) => {
        selectPrograms(object, programs);
        for (const [name, map] of pinned) usePin(pins, name, () => object.reuseMap(name, map));
      }),
      programs,
    );
  } finally {
    scope.close();
  }
}

/** Opens the pinned maps only, for commands that read: no program is loaded. */
export function openState(pins: Pins): DatapathState {
  const scope = new Scope();
  try {
    return new DatapathState(openPinnedMaps(pins, scope), new Map(), scope.move());
  } catch (thrown) {
    scope.close();
    throw thrown;
  }
}

function unusable(pins: Pins, why: string, options?: ErrorOptions): UnsupportedError {
  return new UnsupportedError(
    `Cannot use the pins in "${pins.root}": ${why}; run "l7egg-cli clean -instance=${pins.instance}" first`,
    options,
  );
}

/* A pin that is not what it should be: somebody else has been at it. */
function usePin<T>(pins: Pins, name: string, use: () => T): T {
  try {
    return use();
  } catch (cause) {
    if (!(cause instanceof SystemError)) throw cause;
    throw unusable(pins, `map "${name}" is another thing`, { cause });
  }
}

function openPinnedMaps(pins: Pins, scope: Scope): Map<string, BpfMap> {
  const maps = new Map<string, BpfMap>();
  for (const name of ALL_MAPS) {
    const map = usePin(pins, name, () => BpfMap.openPinned(pins.map(name)));
    if (!map) throw unusable(pins, `map "${name}" is missing`);
    maps.set(name, scope.use(map));
  }
  const control = maps.get('control')?.get(ONLY);
  const layout = control ? readField(control, 'control', 'layout') : 0;
  if (layout !== LIMITS.LAYOUT_VERSION) {
    throw unusable(pins, `they have layout ${layout}, this l7egg has ${LIMITS.LAYOUT_VERSION}`);
  }
  return maps;
}

function selectPrograms(
  object: { programs(): string[]; setAutoload(name: string, on: boolean): void },
  wanted: readonly string[],
): void {
  for (const name of object.programs()) object.setAutoload(name, wanted.includes(name));
}

function take(object: LoadedObject, programNames: readonly string[]): DatapathState {
  const scope = new Scope();
  try {
    const maps = new Map(ALL_MAPS.map((name) => [name as string, scope.use(object.map(name))]));
    const programs = new Map(programNames.map((name) => [name, scope.use(object.program(name))]));
    return new DatapathState(maps, programs, scope.move());
  } catch (thrown) {
    scope.close();
    throw thrown;
  } finally {
    object.close();
  }
}

/** A counter, summed over the CPUs, by its lower-case name such as `ring_full`. */
export function readCounter(state: DatapathState, name: string): number {
  const index = COUNTERS.get(name);
  if (index === undefined) throw new RangeError(`no counter "${name}"`);
  const key = Buffer.alloc(4);
  key.writeUInt32LE(index);
  const values = state.map('counters').getPerCpu(key) ?? [];
  return values.reduce((sum, value) => sum + Number(value.readBigUInt64LE()), 0);
}

/** All counters: `{ passed: 12, … }`. */
export function readCounters(state: DatapathState): { [name: string]: number } {
  return Object.fromEntries([...COUNTERS.keys()].map((name) => [name, readCounter(state, name)]));
}

const COUNTERS: ReadonlyMap<string, number> = new Map(
  Object.entries(ENUMS.counter)
    .filter(([word]) => word !== 'COUNTERS')
    .map(([word, index]) => [word.replace(/^COUNT_/u, '').toLowerCase(), index]),
);
