import { ATTACH_ORDER, hookInForce } from '../datapath/attach.ts';
import type { SubjectRule } from '../datapath/compile.ts';
import { activeEpoch } from '../datapath/policy-slot.ts';
import { readCounters } from '../datapath/state.ts';
import { isSubjectInForce, subjectHooksInForce } from '../datapath/subject-hooks.ts';
import type { EventFeed } from '../flow/feed.ts';
import { bootTimeNs } from '../libbpf/clock.ts';
import { isCountable, type MapBlock, readBlocks } from '../libbpf/map-blocks.ts';
import type { Attachment } from '../metrics/census.ts';
import type { RuleTarget } from '../metrics/common-names.ts';
import type { Rule } from '../policy/rule.ts';
import { isByAddress, whoText } from '../policy/who.ts';
import type { Enforcer } from './enforcer.ts';
import type { InstanceRecord } from './run-dir.ts';

/** A map that can be counted. */
export interface MeteredMap {
  readonly name: string;
  readonly maxEntries: number;
  /** All entries, read in a thread. Throws SystemError. */
  blocks(atOnce: number): AsyncIterable<MapBlock>;
}

/** What metrics read of a running enforcer. All calls into the kernel are made here: the bundle of metrics binds none. */
export interface MeteredEnforcer {
  readonly feed: EventFeed;
  readonly maps: readonly MeteredMap[];
  /** Counters of the programs. Throws SystemError. */
  counters(): { readonly [name: string]: number };
  /** The numbers of the policies in force. */
  policyIds(): readonly number[];
  /** The rules in force. */
  rules(): readonly SubjectRule[];
  /** A rule that is or was in force. */
  ruleOf(id: number): SubjectRule | undefined;
  /** What such a rule speaks of. */
  targetOf(ruleId: number): RuleTarget | undefined;
  /** Whom a policy that is or was in force is for. */
  subjectName(policyId: number): string | undefined;
  /** Seconds of boot time, in which leases end. */
  bootSeconds(): number;
  /** Looks at one hook after the other, as the caller asks for the next. Throws SystemError. */
  attachments(): Iterable<Attachment>;
}

/** What metrics read of `enforcer`. */
export function meter(enforcer: Enforcer): MeteredEnforcer {
  const { state } = enforcer.inForce.context;
  return {
    feed: enforcer.feed,
    maps: [...state.entries()]
      .filter(([, map]) => isCountable(map))
      .map(([name, map]) => ({
        name,
        maxEntries: map.info.maxEntries,
        blocks: (atOnce) => readBlocks(map, atOnce),
      })),
    counters: () => readCounters(state),
    policyIds: () => recordOf(enforcer)?.policies.map(({ policyId }) => policyId) ?? [],
    rules: () => enforcer.rules,
    ruleOf: (id) => enforcer.ruleOf(id),
    targetOf: (ruleId) => targetOf(enforcer.ruleOf(ruleId)?.rule),
    subjectName: (policyId) => enforcer.subjectName(policyId),
    bootSeconds: () => Number(bootTimeNs() / 1_000_000_000n),
    attachments: () => lookAtHooks(enforcer),
  };
}

function recordOf({ inForce: { context } }: Enforcer): InstanceRecord | undefined {
  return context.run.currentRecord(activeEpoch(context.state));
}

function* lookAtHooks(enforcer: Enforcer): Generator<Attachment> {
  const { pins } = enforcer.inForce.context;
  const record = recordOf(enforcer);
  const netns = record?.netns.inode ?? 0;
  for (const { name, ifindex } of record?.interfaces ?? []) {
    for (const direction of ATTACH_ORDER) {
      const isInForce = ifindex !== 0 && hookInForce(pins, { netns, ifindex, direction }) !== undefined;
      yield { kind: 'interface', name, hook: direction, isInForce };
    }
  }
  for (const { path, id } of record?.cgroups ?? [])
    yield {
      kind: 'cgroup',
      name: path,
      hook: 'all',
      isInForce: isSubjectInForce(subjectHooksInForce(pins, BigInt(id))),
    };
}

function targetOf(rule: Rule | undefined): RuleTarget | undefined {
  if (!rule) return undefined;
  const kind = isByAddress(rule.who) ? rule.who.kind : 'name';
  return { kind, text: whoText(rule.who) };
}
