import { UsageError } from '../errors.ts';
import { anyOf } from '../wording.ts';
import { type Folded, foldSiblings, type IsShared } from './fold.ts';
import type { SeenByEnforcer } from './parse-seen.ts';
import { uniteForFlags } from './render-flags.ts';
import type { Enforcing, Seen, SubjectInForce } from './seen.ts';
import { suggestList } from './suggest-list.ts';
import type { Suggestion } from './suggestion.ts';

/** Forms of a list. */
export type SuggestionFormat = 'flags' | 'l7egg' | 'cilium' | 'networkpolicy';

/** What is asked for. `sinceMs`: what was not seen from then on is left out; `subject`: the only one that is wanted. */
export interface Wish {
  readonly format: SuggestionFormat;
  readonly sinceMs?: number;
  readonly subject?: string;
  /** Present where siblings are to be folded. */
  readonly isShared?: IsShared;
}

/** Lists that are ready but for names of bare addresses, which have to be asked for. */
export interface Draft {
  readonly suggestions: readonly Suggestion[];
  readonly enforcing: Enforcing;
  readonly format: SuggestionFormat;
  /** From when on it was looked at. */
  readonly fromMs: number;
}

/**
 * The lists for the subjects that are wanted. Throws UsageError for a subject that has no policy, and where several
 * are in force and the format can't tell them apart.
 */
export function draftSuggestions({ enforcing, seen, denials }: SeenByEnforcer, wish: Wish): Draft {
  const subjects = chooseSubjects(enforcing.subjects, wish);
  const suggestions = subjects.map((inForce) => {
    const ownDenials = denials.filter((each) => each.subject === inForce.subject);
    const own = { inForce, enforcing, denials: ownDenials, seen: seenOf(seen, inForce, wish.sinceMs) };
    return foldedOf(suggestList(own, wish.format === 'flags' || wish.format === 'l7egg'), wish);
  });
  const fromMs = Math.max(enforcing.startedMs, wish.sinceMs ?? 0);
  return { suggestions, enforcing, format: wish.format, fromMs };
}

/** The bare addresses of a draft, of which a reverse name helps its reader. */
export function bareAddresses({ suggestions }: Draft): string[] {
  const bare = suggestions.flatMap(({ entries }) =>
    entries.flatMap(({ wanted }) =>
      wanted.kind === 'address' && wanted.names.length === 0 ? wanted.address : [],
    ),
  );
  return [...new Set(bare)];
}

function chooseSubjects(
  subjects: readonly SubjectInForce[],
  { subject, format }: Wish,
): readonly SubjectInForce[] {
  const names = subjects.map((each) => each.subject);
  if (subject !== undefined) {
    const found = subjects.filter((each) => each.subject === subject);
    if (found.length > 0) return found;
    throw new UsageError(`-subject "${subject}" has no policy in force: ${anyOf(names)} is legal`);
  }
  const isTold =
    format === 'l7egg' || (format !== 'flags' && names.every((name) => name.startsWith('label:')));
  if (subjects.length <= 1 || isTold) return subjects;
  throw new UsageError(
    `policies of several subjects are in force, and -format=${format} can't tell them apart: say which with -subject, ${anyOf(names)} is legal, or -format=l7egg`,
  );
}

function seenOf(seen: Seen, { subject }: SubjectInForce, sinceMs = Number.NEGATIVE_INFINITY): Seen {
  const isWanted = (each: { readonly subject: string; readonly lastMs: number }) =>
    each.subject === subject && each.lastMs >= sinceMs;
  return {
    ...seen,
    flows: seen.flows.filter(isWanted),
    lookups: seen.lookups.filter(isWanted),
    unread: seen.unread.filter((each) => each.subject === subject),
    missing: seen.missing.filter((each) => each.subject === subject),
  };
}

/* Flags have one list of ports for all, so that these are the same before siblings are looked for. */
function foldedOf(suggestion: Suggestion, { format, isShared }: Wish): Suggestion {
  const united =
    format === 'flags' ? uniteForFlags(suggestion) : { entries: suggestion.entries, remarks: [] };
  const folded: Folded = isShared
    ? foldSiblings(united.entries, suggestion.denials, isShared)
    : { entries: united.entries, remarks: [] };
  const suffixes = folded.entries.flatMap(({ wanted }) => (wanted.kind === 'suffix' ? wanted.suffix : []));
  return {
    ...suggestion,
    entries: folded.entries,
    lookups: suggestion.lookups.filter((name) => !suffixes.some((suffix) => name.endsWith(suffix))),
    remarks: [...united.remarks, ...folded.remarks, ...suggestion.remarks],
  };
}
