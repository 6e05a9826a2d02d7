import { UsageError } from '../errors.ts';
import { DEEP, type NameMatch } from './name.ts';
import type { Rule } from './rule.ts';
import { isByAddress } from './who.ts';

/** A rule with the number by which the kernel knows it; never 0. */
export interface NumberedRule {
  readonly id: number;
  readonly rule: Rule;
}

/**
 * An entry of the trie on reversed names. `reversed` is latin1, exact names end in NUL; found is the
 * longest entry that begins reversed(name) + NUL, so it holds what the shorter ones hold.
 * `patternIndexes` are positions in `patterns`; `denyRuleId` 0 = none; `ancestor`: see `compileNames`;
 * `exact`: a rule speaks of this very name and does not deny it; `lookup`: it may be looked up, and teaches nothing.
 */
export interface NameEntry {
  readonly reversed: string;
  readonly ruleIds: readonly number[];
  readonly patternIndexes: readonly number[];
  readonly denyRuleId: number;
  readonly ancestor: boolean;
  readonly exact: boolean;
  readonly lookup: boolean;
}

/** A pattern with at least one `*`, reversed; `deep`: one or more labels may stand before it (`**.`). */
export interface ReversedPattern {
  readonly ruleId: number;
  readonly effect: 'allow' | 'deny' | 'lookup';
  readonly deep: boolean;
  readonly reversed: string;
}

/** The name rules in the form of `struct name_rules` and `struct pattern` of bpf/contract.h. */
export interface NameTable {
  readonly entries: readonly NameEntry[];
  readonly patterns: readonly ReversedPattern[];
}

/** Rules that may hold one name, and patterns tried for one; as in bpf/contract.h. */
export const MAX_HELD = 8;
export const MAX_PATTERNS = 8;

const END = '\0';

interface Draft {
  reversed: string;
  ruleIds: number[];
  patternIndexes: number[];
  denyRuleId: number;
  ancestor: boolean;
  exact: boolean;
  lookup: boolean;
}

/**
 * Compiles the name rules among `rules`; others are passed over. `ancestor` marks the names above those
 * that a rule allows, root included, which strict DNS needs for NS, DS and the like; ancestors that
 * would have a `*` in them are left out. Throws UsageError where a name has too many rules.
 */
export function compileNames(rules: readonly NumberedRule[]): NameTable {
  const drafts = new Map<string, Draft>();
  const patterns: ReversedPattern[] = [];
  for (const { id, rule } of rules) {
    const { who } = rule;
    if (isByAddress(who)) continue;
    const deny = rule.action === 'deny';
    const draft = draftAt(drafts, entryKey(who));
    if (who.kind === 'pattern') {
      draft.patternIndexes.push(patterns.length);
      const deep = who.pattern.startsWith(DEEP);
      const shallow = deep ? who.pattern.slice(DEEP.length - 1) : who.pattern;
      const effect = rule.action === 'audit' ? 'allow' : rule.action;
      patterns.push({ ruleId: id, effect, deep, reversed: reverse(shallow) });
    } else if (deny) {
      draft.denyRuleId = id;
    } else {
      if (rule.action === 'lookup') draft.lookup = true;
      else draft.ruleIds.push(id);
      if (who.kind === 'exact') draft.exact = true;
    }
    if (!deny) markAncestors(drafts, who);
  }
  const entries = [...drafts.values()].sort((a, b) => (a.reversed < b.reversed ? -1 : 1));
  inherit(entries, (entry) => checkBounds(entry, rules, patterns));
  return { entries, patterns };
}

/** Where a rule stands: all of its names begin so once they are reversed. */
function entryKey(who: NameMatch): string {
  switch (who.kind) {
    case 'suffix':
      return reverse(who.suffix);
    case 'exact':
      return reverse(who.name) + END;
    case 'pattern':
      return reverse(who.pattern.slice(who.pattern.lastIndexOf('*') + 1));
    default:
      return who satisfies never;
  }
}

/** Cuts label after label from the front; names of a suffix in mid-label share what is behind its first dot. */
function markAncestors(drafts: Map<string, Draft>, who: NameMatch): void {
  let name = who.kind === 'suffix' ? who.suffix : who.kind === 'exact' ? who.name : who.pattern;
  while (name !== '') {
    const dot = name.indexOf('.');
    name = dot < 0 ? '' : name.slice(dot + 1);
    if (name.includes('*')) continue;
    const draft = draftAt(drafts, reverse(name) + END);
    if (draft.ancestor) return; // and so are those above it
    draft.ancestor = true;
  }
}

function draftAt(drafts: Map<string, Draft>, reversed: string): Draft {
  const known = drafts.get(reversed);
  if (known) return known;
  const draft: Draft = {
    reversed,
    ruleIds: [],
    patternIndexes: [],
    denyRuleId: 0,
    ancestor: false,
    exact: false,
    lookup: false,
  };
  drafts.set(reversed, draft);
  return draft;
}

/** Sorted, an entry stands behind those that begin it, and they lie on the stack. */
function inherit(entries: readonly Draft[], check: (entry: Draft) => void): void {
  const stack: Draft[] = [];
  for (const entry of entries) {
    let outer = stack.at(-1);
    while (outer && !entry.reversed.startsWith(outer.reversed)) {
      stack.pop();
      outer = stack.at(-1);
    }
    if (outer) {
      entry.ruleIds = merge(outer.ruleIds, entry.ruleIds);
      entry.patternIndexes = merge(outer.patternIndexes, entry.patternIndexes);
      if (entry.denyRuleId === 0) entry.denyRuleId = outer.denyRuleId;
      entry.lookup ||= outer.lookup;
    }
    check(entry);
    stack.push(entry);
  }
}

/** Shares what is inherited as it is: most entries add nothing or stand alone. */
function merge(outer: number[], own: number[]): number[] {
  if (own.length === 0) return outer;
  if (outer.length === 0) return own;
  return [...outer, ...own].sort((a, b) => a - b);
}

function checkBounds(
  entry: Draft,
  rules: readonly NumberedRule[],
  patterns: readonly ReversedPattern[],
): void {
  if (entry.ruleIds.length > MAX_HELD) throw tooMany('rules', MAX_HELD, entry, rules, entry.ruleIds);
  if (entry.patternIndexes.length > MAX_PATTERNS) {
    const ids = entry.patternIndexes.map((index) => patterns[index]?.ruleId ?? 0);
    throw tooMany('patterns', MAX_PATTERNS, entry, rules, ids);
  }
}

function tooMany(
  noun: string,
  limit: number,
  entry: Draft,
  rules: readonly NumberedRule[],
  ids: readonly number[],
): UsageError {
  const shown = new Set(ids.slice(0, limit + 1));
  const sources = rules.filter(({ id }) => shown.has(id)).map(({ rule }) => `"${rule.source}"`);
  const isExact = entry.reversed.endsWith(END);
  const text = reverse(isExact ? entry.reversed.slice(0, -1) : entry.reversed);
  const names = isExact ? `the name "${text}"` : text === '' ? 'any name' : `names that end in "${text}"`;
  return new UsageError(
    `${ids.length} ${noun} may match ${names}: at most ${limit} are legal, and there are ${list(sources, ids.length)}`,
  );
}

function list(sources: readonly string[], total: number): string {
  const more = total - sources.length;
  return sources.join(', ') + (more > 0 ? ` and ${more} more` : '');
}

function reverse(text: string): string {
  return [...text].reverse().join('');
}
