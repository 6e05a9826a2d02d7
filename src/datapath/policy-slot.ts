import type { CompiledPolicy, CompiledRule } from './compiled-policy.ts';
import { fillSlot } from './fill-slot.ts';
import { waitForPrograms } from './grace-period.ts';
import { LAYOUT } from './layout.ts';
import { POLICY_MAPS } from './policy-maps.ts';
import { activeSlot, type MapSource, ONLY } from './state.ts';
import { placeOf, readField, writeStruct } from './struct.ts';

/**
 * Puts a compiled policy in force in one step: fresh inner maps in the idle slot, then `switchSlot`.
 * What was in force stays so until then. Throws SystemError; then nothing has changed for the programs.
 */
export async function applyPolicy(maps: MapSource, policy: CompiledPolicy): Promise<void> {
  await fillSlot(maps, idleSlot(maps), policy);
  await addRuleStates(maps, policy.rules);
  switchSlot(maps, policy);
}

/** The slot that the first policy of an instance goes into: the kernel's `active` begins as 0. */
export const FIRST_SLOT = 1;

/** The slot that is not in force. */
export function idleSlot(maps: MapSource): number {
  return 1 - activeSlot(maps);
}

/**
 * Puts the idle slot, filled with this policy, in force by one write of `active`; its rules have their counters
 * (`addRuleStates`). At once, so that nothing comes between it and what the caller does with it. Throws SystemError;
 * then nothing has changed for the programs.
 */
export function switchSlot(maps: MapSource, policy: CompiledPolicy): void {
  const control = maps.map('control').get(ONLY);
  if (!control) throw new RangeError('no control entry');
  const idle = 1 - readField(control, 'control', 'active');
  const epoch = nextEpoch(maps);
  const slots = placeOf('control', 'slots')[0];
  writeStruct(control, slots + idle * LAYOUT.slot.size, 'slot', {
    epoch,
    dns_ports_be: new Uint8Array(LAYOUT.slot.fields.dns_ports_be[1]),
  });
  writeDnsPorts(control, idle, policy.dnsPorts);
  noteUnjudged(control);
  writeStruct(control, 0, 'control', { next_rule_id: policy.nextRuleId });
  maps.map('control').set(ONLY, control);
  writeStruct(control, 0, 'control', { active: idle });
  maps.map('control').set(ONLY, control);
}

/** As long as a packet may wait for its neighbour's address, with all tries (RFC 4861, 7.3.3; ARP the same), and more. */
const ON_THE_WAY_NS = 5_000_000_000n;

/**
 * Notes in an entry of `control` that subjects change now: for some seconds interfaces judge their packets, too, by the
 * subjects' policies, for some are on the way that the hooks of cgroups saw before.
 */
export function noteUnjudged(control: Buffer): void {
  writeStruct(control, 0, 'control', { unjudged_until_ns: process.hrtime.bigint() + ON_THE_WAY_NS });
}

/** Frees the inner maps of the slot that is not active, once no program that began before the switch reads them. */
export async function freeIdleSlot(maps: MapSource): Promise<void> {
  await waitForPrograms();
  const control = maps.map('control').get(ONLY);
  if (!control) return;
  const idle = 1 - readField(control, 'control', 'active');
  await Promise.all(POLICY_MAPS.map((name) => maps.map(name).deleteInThread(u32(idle))));
}

/** Drops the counters of rules that are not in force any more. */
export function dropRuleStates(maps: MapSource, inForce: ReadonlySet<number>): void {
  const states = maps.map('rule_states');
  const stale: number[] = [];
  for (const [key] of states.entries()) {
    const id = key.readUInt32LE();
    if (!inForce.has(id)) stale.push(id);
  }
  for (const id of stale) states.delete(u32(id));
}

/** Changes the DNS ports of the slot in force, when the trusted resolvers change. */
export function applyDnsPorts(maps: MapSource, ports: readonly number[]): void {
  const control = maps.map('control').get(ONLY);
  if (!control) return;
  writeDnsPorts(control, readField(control, 'control', 'active'), ports);
  maps.map('control').set(ONLY, control);
}

function writeDnsPorts(control: Buffer, slot: number, ports: readonly number[]): void {
  const at = placeOf('control', 'slots')[0] + slot * LAYOUT.slot.size + placeOf('slot', 'dns_ports_be')[0];
  for (let i = 0; i < 4; i++) control.writeUInt16BE(ports[i] ?? 0, at + 2 * i);
}

/** The epoch that the next `applyPolicy` puts in force. */
export function nextEpoch(maps: MapSource): number {
  return (Math.max(...readEpochs(maps)) % 0xfffffffe) + 1;
}

/** The epoch of the slot in force. */
export function activeEpoch(maps: MapSource): number {
  const control = maps.map('control').get(ONLY);
  return (control && readEpochs(maps)[readField(control, 'control', 'active')]) ?? 0;
}

function readEpochs(maps: MapSource): number[] {
  const control = maps.map('control').get(ONLY);
  const slots = placeOf('control', 'slots')[0];
  return [0, 1].map((slot) =>
    control ? readField(control.subarray(slots + slot * LAYOUT.slot.size), 'slot', 'epoch') : 0,
  );
}

/** Gives rules that are new to the kernel their counters, before they are in force. Throws SystemError. */
export async function addRuleStates(maps: MapSource, rules: readonly CompiledRule[]): Promise<void> {
  const states = maps.map('rule_states');
  const known = new Set<number>(); // only user space adds any
  for (const [key] of states.entries()) known.add(key.readUInt32LE());
  const fresh = Uint32Array.from(rules.map(({ id }) => id).filter((id) => !known.has(id)));
  const empty = Buffer.alloc(fresh.length * LAYOUT.rule_state.size);
  await states.updateBatch(new Uint8Array(fresh.buffer), empty, fresh.length);
}

function u32(value: number): Buffer<ArrayBuffer> {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return bytes;
}
