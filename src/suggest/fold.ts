import type { PortRange } from '../policy/port.ts';
import type { Rule } from '../policy/rule.ts';
import { isByAddress, whoText } from '../policy/who.ts';
import { portsKey } from './ports.ts';
import type { Entry, Wanted } from './suggestion.ts';

/** Fewer siblings are not worth a wider rule. */
const MIN_SIBLINGS = 3;
const MIN_PARENT_LABELS = 2;

/** Whether strangers can have names below this one: right below as for `co.uk`, or deeper as for `amazonaws.com`. */
export type IsShared = (name: string) => boolean;

/** Entries after folding, and a sentence on each fold. */
export interface Folded {
  readonly entries: readonly Entry[];
  readonly remarks: readonly string[];
}

/**
 * Puts one suffix in place of three or more names right under one parent that have the same ports. Not where strangers
 * can have names below the parent, nor where a deny rule speaks of any: the suffix is for names that were never seen.
 * A parent is folded for one set of ports only, and none below one that is: few rules may be in force for a name.
 */
export function foldSiblings(
  entries: readonly Entry[],
  denials: readonly Rule[],
  isShared: IsShared,
): Folded {
  const groups = largestOfEach(groupByParent(entries)).filter(
    ({ parent, members }) =>
      !isShared(parent) &&
      !members.some(({ wanted }) => isShared(nameOf(wanted))) &&
      !isDeniedBelow(parent, denials),
  );
  const folded = new Map<Entry, Entry>();
  const remarks: string[] = [];
  for (const { parent, members } of groups) {
    if (groups.some((other) => parent.endsWith(`.${other.parent}`))) continue;
    const names = members.map(({ wanted }) => nameOf(wanted));
    const [first] = members;
    if (!first) continue;
    const whole: Entry = {
      wanted: { kind: 'suffix', suffix: `.${parent}`, names },
      ports: first.ports,
      addresses: members.flatMap(({ addresses }) => addresses),
      hasMore: members.some(({ hasMore }) => hasMore),
    };
    for (const member of members) folded.set(member, whole);
    remarks.push(`every name under ${parent} stands for ${names.length} that were seen: ${names.join(', ')}`);
  }
  return { entries: [...new Set(entries.map((entry) => folded.get(entry) ?? entry))], remarks };
}

interface Group {
  readonly parent: string;
  readonly ports: readonly PortRange[];
  readonly members: Entry[];
}

function groupByParent(entries: readonly Entry[]): Group[] {
  const groups = new Map<string, Group>();
  for (const entry of entries) {
    if (entry.wanted.kind !== 'name') continue;
    const parent = entry.wanted.name.split('.').slice(1).join('.');
    if (parent.split('.').length < MIN_PARENT_LABELS) continue;
    const key = `${parent} ${portsKey(entry.ports)}`;
    const group = groups.get(key) ?? { parent, ports: entry.ports, members: [] };
    group.members.push(entry);
    groups.set(key, group);
  }
  return [...groups.values()].filter(({ members }) => members.length >= MIN_SIBLINGS);
}

function largestOfEach(groups: readonly Group[]): Group[] {
  const largest = new Map<string, Group>();
  for (const group of groups) {
    const before = largest.get(group.parent);
    if (!before || before.members.length < group.members.length) largest.set(group.parent, group);
  }
  return [...largest.values()];
}

function isDeniedBelow(parent: string, denials: readonly Rule[]): boolean {
  return denials.some(({ who }) => {
    if (isByAddress(who)) return false;
    const text = whoText(who);
    // A pattern may speak of names anywhere, and a suffix that the parent ends with of all below it.
    return who.kind === 'pattern' || text.endsWith(`.${parent}`) || `.${parent}`.endsWith(text);
  });
}

function nameOf(wanted: Wanted): string {
  return wanted.kind === 'name' ? wanted.name : '';
}
