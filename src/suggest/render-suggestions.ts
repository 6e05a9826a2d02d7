import { UsageError } from '../errors.ts';
import { escapeControl } from '../flow/escape.ts';
import { anyOf } from '../wording.ts';
import { type Folded, foldSiblings, type IsPublicSuffix } from './fold.ts';
import type { SeenByEnforcer } from './parse-seen.ts';
import { renderCilium } from './render-cilium.ts';
import { comment, inboundTexts, renderFlags, uniteForFlags } from './render-flags.ts';
import { renderL7egg } from './render-l7egg.ts';
import { renderNetworkPolicy } from './render-network-policy.ts';
import type { Enforcing, Seen, SubjectInForce } from './seen.ts';
import { suggestList } from './suggest-list.ts';
import { isEmpty, type Suggestion } from './suggestion.ts';
import { placeFlags, quoteWord, titleOf } from './words.ts';

/** Forms of a list. */
export type SuggestionFormat = 'flags' | 'l7egg' | 'cilium' | 'networkpolicy';

/** What is asked for. `sinceMs`: what was not seen from then on is left out; `subject`: the only one that is wanted. */
export interface Wish {
  readonly format: SuggestionFormat;
  readonly sinceMs?: number;
  readonly subject?: string;
  /** Present where siblings are to be folded. */
  readonly isPublicSuffix?: IsPublicSuffix;
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
export function draftSuggestions({ enforcing, seen }: SeenByEnforcer, wish: Wish): Draft {
  const subjects = chooseSubjects(enforcing.subjects, wish);
  const suggestions = subjects.map((inForce) => {
    const own = { inForce, enforcing, seen: seenOf(seen, inForce, wish.sinceMs) };
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

/**
 * The text of a draft: lists in its format, and remarks as `#` lines. `reverse`: names that DNS has for addresses. Where
 * nothing was seen it is a remark only.
 */
export function renderDraft(
  { suggestions, enforcing, format }: Draft,
  reverse: ReadonlyMap<string, string>,
): string {
  const escaped = new Map([...reverse].map(([address, name]) => [address, escapeControl(name)]));
  const since = `since ${new Date(enforcing.startedMs).toISOString()}`;
  const lines = suggestions.every(isEmpty)
    ? [
        comment(`nothing that a list could allow was seen by instance "${enforcing.instance}" ${since}`),
        ...suggestions.flatMap(({ remarks }) => remarks.map(comment)),
      ]
    : format === 'flags'
      ? suggestions.flatMap((each) => flagsText(each, enforcing, escaped, since))
      : suggestions.flatMap((each, index) => [
          ...(index > 0 ? ['---'] : []),
          ...fileText(each, index, { suggestions, enforcing, format }, escaped, since),
        ]);
  return `${lines.join('\n')}\n`;
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
  };
}

/* Flags have one list of ports for all, so that these are the same before siblings are looked for. */
function foldedOf(suggestion: Suggestion, { format, isPublicSuffix }: Wish): Suggestion {
  const united =
    format === 'flags' ? uniteForFlags(suggestion) : { entries: suggestion.entries, remarks: [] };
  const folded: Folded = isPublicSuffix
    ? foldSiblings(united.entries, suggestion.denials, isPublicSuffix)
    : { entries: united.entries, remarks: [] };
  const suffixes = folded.entries.flatMap(({ wanted }) => (wanted.kind === 'suffix' ? wanted.suffix : []));
  return {
    ...suggestion,
    entries: folded.entries,
    lookups: suggestion.lookups.filter((name) => !suffixes.some((suffix) => name.endsWith(suffix))),
    remarks: [...united.remarks, ...folded.remarks, ...suggestion.remarks],
  };
}

function flagsText(
  suggestion: Suggestion,
  enforcing: Enforcing,
  reverse: ReadonlyMap<string, string>,
  since: string,
): string[] {
  const { entries } = suggestion;
  return [
    ...renderFlags(suggestion, { entries, remarks: [] }, enforcing),
    comment(headline(suggestion, enforcing, since)),
    ...addressRemarks(suggestion, reverse).map(comment),
    ...suggestion.remarks.map(comment),
  ];
}

/* Addresses without a name are what somebody has to look at. */
function addressRemarks({ entries }: Suggestion, reverse: ReadonlyMap<string, string>): string[] {
  return entries.flatMap(({ wanted }) => {
    if (wanted.kind !== 'address' || wanted.names.length > 0) return [];
    const name = reverse.get(wanted.address);
    return `${wanted.address}: no lookup led there${name === undefined ? '' : `; its reverse name is ${name}`}`;
  });
}

function fileText(
  suggestion: Suggestion,
  index: number,
  { suggestions, enforcing, format }: Draft,
  reverse: ReadonlyMap<string, string>,
  since: string,
): string[] {
  const name = suggestions.length > 1 ? `suggested-${index + 1}` : 'suggested';
  const remarks = [
    headline(suggestion, enforcing, since),
    ...addressRemarks(suggestion, reverse),
    ...suggestion.remarks,
  ];
  const beside = besideFile(suggestion, enforcing, format);
  const all = [...remarks, ...(beside === '' ? [] : [`to be given beside this file: ${beside}`])];
  switch (format) {
    case 'flags':
      return [];
    case 'l7egg':
      return [...all.map(comment), ...renderL7egg(suggestion, enforcing, reverse)];
    case 'cilium': {
      const { lines, remarks: unsaid } = renderCilium(suggestion, name, reverse);
      return [...[...all, ...unsaid].map(comment), ...lines];
    }
    case 'networkpolicy': {
      const { lines, remarks: unsaid } = renderNetworkPolicy(suggestion, name, reverse);
      return [...[...all, ...unsaid].map(comment), ...lines];
    }
    default:
      return format satisfies never;
  }
}

function headline({ subject, entries }: Suggestion, enforcing: Enforcing, since: string): string {
  const names = entries.filter(({ wanted }) => wanted.kind !== 'address').length;
  const addresses = entries.length - names;
  return escapeControl(
    `what ${titleOf(subject, enforcing)} did ${since}, seen by instance "${enforcing.instance}": ${count(names, 'name')}, ${count(addresses, 'address')}`,
  );
}

function count(number: number, noun: string): string {
  return `${number} ${number === 1 ? noun : noun === 'address' ? 'addresses' : `${noun}s`}`;
}

/* What a file can't say, as flags. */
function besideFile(suggestion: Suggestion, enforcing: Enforcing, format: SuggestionFormat): string {
  const { subject, dns, inbound, rate, ceil } = suggestion;
  // Our own kind names its subject; interfaces are flags all the same.
  const isOwn = format === 'l7egg';
  const place = placeFlags(enforcing, isOwn && subject.kind !== 'host' ? undefined : subject);
  const settings = isOwn
    ? []
    : [
        ...(format === 'networkpolicy' && (dns === 'strict' || enforcing.isRun)
          ? [{ flag: 'dns', value: dns }]
          : []),
        ...(inbound ? [{ flag: 'inbound', value: inboundTexts(inbound).join(' -inbound=') }] : []),
        ...(rate === undefined ? [] : [{ flag: 'rate', value: rate }]),
        ...(ceil === undefined ? [] : [{ flag: 'ceil', value: ceil }]),
      ];
  return [...place, ...settings]
    .map(({ flag, value }) => quoteWord(flag, value) ?? escapeControl(`-${flag}="${value}"`))
    .join(' ');
}
