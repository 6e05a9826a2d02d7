import { escapeControl } from '../flow/escape.ts';
import type { Draft } from './draft.ts';
import { renderCilium } from './render-cilium.ts';
import { inboundTexts, renderFlags } from './render-flags.ts';
import { renderL7egg } from './render-l7egg.ts';
import { renderNetworkPolicy } from './render-network-policy.ts';
import { type Document, isEmpty, type Suggestion } from './suggestion.ts';
import { placeFlags, quoteWord, titleOf } from './words.ts';

/** Names that DNS has for addresses, by address. */
type Reverse = ReadonlyMap<string, string>;

/**
 * The text of a draft: lists in its format, and remarks as `#` lines. `reverse`: names that DNS has for addresses. Where
 * nothing was seen it is remarks only, so that pasted it allows nothing and is refused.
 */
export function renderDraft(draft: Draft, reverse: Reverse): string {
  const { suggestions, enforcing, format, fromMs } = draft;
  const escaped = new Map([...reverse].map(([address, name]) => [address, escapeControl(name)]));
  const isNothing = suggestions.every((each) => isEmpty(each) && (format === 'flags' || !each.inbound));
  const texts = suggestions.map((suggestion, index) => {
    const name = suggestions.length > 1 ? `suggested-${index + 1}` : 'suggested';
    const document = isNothing
      ? { lines: [], remarks: [] }
      : renderDocument(suggestion, draft, name, escaped);
    const said = [...addressRemarks(suggestion, escaped), ...suggestion.remarks, ...document.remarks];
    const remarks = [
      headline(suggestion, draft, document),
      ...said,
      ...besideFile(suggestion, draft, isNothing),
    ];
    const comments = remarks.map(comment);
    // Words of flags come first: a shell ends the command at the line break.
    return format === 'flags' ? [...document.lines, ...comments] : [...comments, ...document.lines];
  });
  const since = new Date(fromMs).toISOString();
  const nothing = `nothing that a list could allow was seen by instance "${enforcing.instance}" since ${since}`;
  const lines = texts.flatMap((text, index) => (index > 0 && !isNothing ? ['---', ...text] : text));
  return [...(isNothing ? [comment(nothing)] : []), ...lines, ''].join('\n');
}

/* A line of its own, whatever the text holds. */
function comment(text: string): string {
  return `# ${escapeControl(text)}`;
}

function renderDocument(
  suggestion: Suggestion,
  { enforcing, format }: Draft,
  name: string,
  reverse: Reverse,
): Document {
  switch (format) {
    case 'flags':
      return renderFlags(suggestion, enforcing);
    case 'l7egg':
      return { lines: renderL7egg(suggestion, enforcing, reverse), remarks: [] };
    case 'cilium':
      return renderCilium(suggestion, name, reverse);
    case 'networkpolicy':
      return renderNetworkPolicy(suggestion, name, reverse);
    default:
      return format satisfies never;
  }
}

function headline(
  { subject, entries }: Suggestion,
  { enforcing, fromMs }: Draft,
  document: Document,
): string {
  const names = entries.filter(({ wanted }) => wanted.kind !== 'address').length;
  const addresses = document.addresses ?? entries.length - names;
  const namesText = `${names} ${names === 1 ? 'name' : 'names'}`;
  const addressesText = `${addresses} ${addresses === 1 ? 'address' : 'addresses'}`;
  const what =
    document.addresses === undefined
      ? `${namesText}, ${addressesText}`
      : `${addressesText}${names > 0 ? ` (of ${namesText}, and of calls without one)` : ''}`;
  return `what ${titleOf(subject, enforcing)} did since ${new Date(fromMs).toISOString()}, seen by instance "${enforcing.instance}": ${what}`;
}

/* Addresses without a name are what somebody has to look at. */
function addressRemarks({ entries }: Suggestion, reverse: Reverse): string[] {
  return entries.flatMap(({ wanted }) => {
    if (wanted.kind !== 'address' || wanted.names.length > 0) return [];
    const name = reverse.get(wanted.address);
    return `${wanted.address}: no lookup led there${name === undefined ? '' : `; its reverse name is ${name}`}`;
  });
}

/* What a file can't say, as flags. */
function besideFile(suggestion: Suggestion, { enforcing, format }: Draft, isNothing: boolean): string[] {
  if (format === 'flags' || isNothing) return [];
  const { subject, dns, inbound, rate, ceil } = suggestion;
  // Our own kind names its subject; interfaces are flags all the same.
  const isOwn = format === 'l7egg';
  const isModeUnsaid = format === 'networkpolicy' && (dns === 'strict' || enforcing.isRun);
  const place = placeFlags(enforcing, isOwn && subject.kind !== 'host' ? undefined : subject);
  const settings = [
    ...(isModeUnsaid ? [{ flag: 'dns', value: dns }] : []),
    ...inboundTexts(inbound ?? []).map((value) => ({ flag: 'inbound', value })),
    ...(rate === undefined ? [] : [{ flag: 'rate', value: rate }]),
    ...(ceil === undefined ? [] : [{ flag: 'ceil', value: ceil }]),
  ];
  const words = [...place, ...(isOwn ? [] : settings)].map(
    ({ flag, value }) => quoteWord(flag, value) ?? `-${flag}="${value}"`,
  );
  return words.length === 0 ? [] : [`to be given beside this file: ${words.join(' ')}`];
}
