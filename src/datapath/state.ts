import { SystemError, UnsupportedError } from '../errors.ts';
import { isKernelSince } from '../libbpf/kernel-release.ts';
import { BpfMap } from '../libbpf/map.ts';
import { loadObject } from '../libbpf/object.ts';
import type { OpenObject } from '../libbpf/open-object.ts';
import type { BpfProgram } from '../libbpf/program.ts';
import { Scope } from '../scope.ts';
import { kernelTypes } from './kernel-types.ts';
import { ENUMS, LIMITS } from './layout.ts';
import type { Pins } from './pins.ts';
import { createOuter, POLICY_MAPS, type PolicyMapName } from './policy-maps.ts';
import { encodeStruct, placeOf, readField } from './struct.ts';

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
  'programs',
  'cgroup_paths',
  'dhcp_servers',
  'own_addresses',
  'enforced',
  'counters',
  'rule_states',
  'onlink',
  'socket_flows',
  'socket_owners',
  'subjects',
  'subject_cgroups',
  'events',
] as const;
export type StateMapName = (typeof STATE_MAPS)[number];

/* control comes last: pins without it are what an interrupted start or clean left. */
const ALL_MAPS: readonly (PolicyMapName | StateMapName)[] = [
  ...POLICY_MAPS,
  ...STATE_MAPS.filter((name) => name !== 'control'),
  'control',
];

/** Where maps are had from by name. Throws RangeError for one that is not there. */
export interface MapSource {
  map(name: PolicyMapName | StateMapName): BpfMap;
}

/** The id of the first rule that an instance ever has. */
export const FIRST_RULE_ID = 1;

/** Key of the only entry of an array map. */
export const ONLY = Buffer.alloc(4);

/** Maps that are there before any program. Owns their descriptors. */
export class Maps implements MapSource, Disposable {
  readonly #maps: ReadonlyMap<string, BpfMap>;
  readonly #scope: Scope;
  /** Where they are pinned; absent for new ones. */
  readonly pins: Pins | undefined;

  /** Takes ownership of `scope`, which holds the maps. */
  constructor(maps: ReadonlyMap<string, BpfMap>, scope: Scope, pins?: Pins) {
    this.#maps = maps;
    this.#scope = scope;
    this.pins = pins;
  }

  map(name: PolicyMapName | StateMapName): BpfMap {
    const map = this.#maps.get(name);
    if (!map) throw new RangeError(`no map "${name}"`);
    return map;
  }

  entries(): Iterable<[name: string, map: BpfMap]> {
    return this.#maps.entries();
  }

  /** Idempotent. */
  close(): void {
    this.#scope.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }
}

/**
 * The maps of an instance and its loaded programs. Owns their descriptors; the pins, where there are
 * any, are the caller's to remove.
 */
export class DatapathState extends Maps {
  readonly #programs: Map<string, BpfProgram>;
  readonly #scope: Scope;

  constructor(maps: ReadonlyMap<string, BpfMap>, programs: ReadonlyMap<string, BpfProgram>, scope: Scope) {
    super(maps, scope);
    this.#programs = new Map(programs);
    this.#scope = scope;
  }

  /** Loads, around the same maps, those of these programs that are not loaded yet. Throws as `loadState`. */
  async load(objectPath: string, programs: readonly string[]): Promise<void> {
    const missing = programs.filter((name) => !this.#programs.has(name));
    if (missing.length === 0) return;
    using loading = new Scope();
    const loaded = await loadHalf(objectPath, missing, new Map(this.entries()), loading);
    const kept = loading.move();
    this.#scope.defer(() => kept.close());
    for (const [name, program] of loaded) this.#programs.set(name, program);
  }

  program(name: string): BpfProgram {
    const program = this.#programs.get(name);
    if (!program) throw new RangeError(`program "${name}" was not loaded`);
    return program;
  }
}

/** The policy maps of a fresh instance: a policy can be put into them while the programs are loaded. */
export function createPolicyMaps(): Maps {
  return openMaps(POLICY_MAPS, createOuter);
}

/**
 * Loads the programs around these maps, in threads; maps that are not among them are made. Nothing is pinned.
 * Throws UnsupportedError when pinned maps are not what they should be, and changes nothing; VerifierError, SystemError.
 */
export async function loadState(
  objectPath: string,
  programs: readonly string[],
  maps: Maps,
): Promise<DatapathState> {
  const types = await kernelTypes();
  using made = await loadObject(objectPath, (opened) => {
    select(opened, []);
    opened.setConstant('has_packet_netns', Uint8Array.of(hasPacketNetns() ? 1 : 0, 0, 0, 0));
    opened.setConstant('kernel_types', types);
    for (const [name, map] of maps.entries()) reuse(opened, name, map, maps.pins);
  });
  using scope = new Scope();
  const all = new Map(made.maps().map((name) => [name, scope.use(made.map(name))]));
  // Verifying is most of a start: the two halves of it overlap.
  const isInbound = (name: string) => INBOUND.test(name);
  const halves = [programs.filter(isInbound), programs.filter((name) => !isInbound(name))];
  const loading = halves.map((half) => loadHalf(objectPath, half, all, scope));
  await Promise.allSettled(loading);
  const loaded = new Map((await Promise.all(loading)).flat());
  return new DatapathState(all, loaded, scope.move());
}

/* bpf_get_netns_cookie() for programs on packets of cgroups. */
function hasPacketNetns(): boolean {
  return isKernelSince(6, 15);
}

/* The programs that read answers take about as long as all others. */
const INBOUND = /_(arrive|learn|track|enter)/u;

async function loadHalf(
  objectPath: string,
  programs: readonly string[],
  maps: ReadonlyMap<string, BpfMap>,
  scope: Scope,
): Promise<[string, BpfProgram][]> {
  using object = await loadObject(objectPath, (opened) => {
    select(opened, programs);
    for (const [name, map] of maps) opened.reuseMap(name, map);
  });
  return programs.map((name) => [name, scope.use(object.program(name))]);
}

function select(object: OpenObject, programs: readonly string[]): void {
  for (const name of object.programs()) object.setAutoload(name, programs.includes(name));
}

/** The slot that is in force. */
export function activeSlot(maps: MapSource): number {
  const control = maps.map('control').get(ONLY);
  return control ? readField(control, 'control', 'active') : 0;
}

/** Fills `control` of a fresh instance. */
export function initControl(state: DatapathState, netnsCookie: bigint, hashSeed: bigint): void {
  state.map('control').set(
    ONLY,
    encodeStruct('control', {
      layout: LIMITS.LAYOUT_VERSION,
      netns_cookie: netnsCookie,
      hash_seed: hashSeed,
      next_rule_id: FIRST_RULE_ID,
    }),
  );
}

/** The first id that no rule of this instance has had. */
export function nextRuleId(maps: MapSource): number {
  const control = maps.map('control').get(ONLY);
  return control ? readField(control, 'control', 'next_rule_id') : FIRST_RULE_ID;
}

/** Pins every map of the state. */
export function pinState(state: DatapathState, pins: Pins): void {
  for (const name of ALL_MAPS) state.map(name).pin(pins.map(name));
}

/**
 * The pinned maps of an instance, to adopt or to read.
 * Throws UnsupportedError when the pins are of another layout, or not what they should be.
 */
export function openPinnedMaps(pins: Pins): Maps {
  // First: another layout has other maps.
  const layout = pinnedLayout(pins);
  if (layout !== LIMITS.LAYOUT_VERSION)
    throw unusable(
      pins,
      `they have layout ${layout}, this l7egg has ${LIMITS.LAYOUT_VERSION} and takes nothing over from them; they stay in force; to change over, stop the process that uses them, if it runs`,
      ', then start: in between nothing is judged',
    );
  return openMaps(ALL_MAPS, (name) => openPin(name, pins), pins);
}

/** The version of the layout of what an instance has pinned, whatever it is. Throws UnsupportedError. */
export function pinnedLayout(pins: Pins): number {
  using control = openPin('control', pins);
  return control.get(ONLY)?.readUInt32LE(placeOf('control', 'layout')[0]) ?? 0;
}

function unusable(pins: Pins, why: string, then = '', options?: ErrorOptions): UnsupportedError {
  return new UnsupportedError(
    `Cannot use the pins in "${pins.root}": ${why}; run "l7egg-cli clean -instance=${pins.instance}" first${then}`,
    options,
  );
}

function openMaps<Name extends string>(
  names: readonly Name[],
  open: (name: Name) => BpfMap,
  pins?: Pins,
): Maps {
  using scope = new Scope();
  const maps = new Map<string, BpfMap>();
  for (const name of names) maps.set(name, scope.use(open(name)));
  return new Maps(maps, scope.move(), pins);
}

function openPin(name: string, pins: Pins): BpfMap {
  const map = usePin(name, pins, () => BpfMap.openPinned(pins.map(name)));
  if (!map) throw unusable(pins, `map "${name}" is missing`);
  return map;
}

function reuse(object: OpenObject, name: string, map: BpfMap, pins: Pins | undefined): void {
  if (pins) usePin(name, pins, () => object.reuseMap(name, map));
  else object.reuseMap(name, map);
}

/* A pin that is not what it should be: somebody else has been at it. */
function usePin<T>(name: string, pins: Pins, use: () => T): T {
  try {
    return use();
  } catch (cause) {
    if (!(cause instanceof SystemError)) throw cause;
    throw unusable(pins, `map "${name}" is another thing`, '', { cause });
  }
}

/** A counter, summed over the CPUs, by its lower-case name such as `ring_full`. */
export function readCounter(maps: MapSource, name: string): number {
  const index = COUNTERS.get(name);
  if (index === undefined) throw new RangeError(`no counter "${name}"`);
  const key = Buffer.alloc(4);
  key.writeUInt32LE(index);
  const values = maps.map('counters').getPerCpu(key) ?? [];
  return values.reduce((sum, value) => sum + Number(value.readBigUInt64LE()), 0);
}

/** All counters: `{ passed: 12, … }`. */
export function readCounters(maps: MapSource): { [name: string]: number } {
  return Object.fromEntries([...COUNTERS.keys()].map((name) => [name, readCounter(maps, name)]));
}

const COUNTERS: ReadonlyMap<string, number> = new Map(
  Object.entries(ENUMS.counter)
    .filter(([word]) => word !== 'COUNTERS')
    .map(([word, index]) => [word.replace(/^COUNT_/u, '').toLowerCase(), index]),
);
