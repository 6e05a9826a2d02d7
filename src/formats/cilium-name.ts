import { UsageError } from '../errors.ts';
import { DEEP, type NameMatch, parseName, parsePattern } from '../policy/name.ts';
import type { Who } from '../policy/who.ts';
import type { Value } from './value.ts';

const NAME = /^[-a-zA-Z0-9_.]+$/u;
const PATTERN = /^[-a-zA-Z0-9_.*]+$/u;
const ONLY_STARS = /^\*+\.?$/u;
const EITHER = '"matchName" or "matchPattern" is legal';

/** Stands for every name. */
export const EVERY_NAME: NameMatch = { kind: 'suffix', suffix: '' };

/** Whether it is what `EVERY_NAME` is. */
export function isEveryName(who: Who): boolean {
  return who.kind === 'suffix' && who.suffix === '';
}

/** Parses `matchName`: a name in ASCII, case and a final dot ignored. Throws UsageError. */
export function parseMatchName(text: string): NameMatch {
  if (NAME.test(text)) return { kind: 'exact', name: parseName(text) };
  throw new UsageError(`name "${text}": letters of ASCII, digits, "-", "_" and "." are legal`);
}

/**
 * Parses `matchPattern` as Cilium 1.19 does (pkg/fqdn/matchpattern): stars alone are every name; two or more stars and
 * a dot in front are one or more whole labels; any other stars, however many, are zero or more characters of one label,
 * so that `sub**.x` is `sub*.x` and `*.**.x` is `*.*.x`. Throws UsageError.
 */
export function parseMatchPattern(text: string): NameMatch {
  if (!PATTERN.test(text)) {
    throw new UsageError(`pattern "${text}": letters of ASCII, digits, "-", "_", "." and "*" are legal`);
  }
  if (ONLY_STARS.test(text)) return EVERY_NAME;
  const rest = text.replace(/^\*{2,}\./u, '');
  const single = rest.replace(/\*+/gu, '*');
  return parsePattern(rest === text ? single : DEEP + single);
}

/** An entry of `toFQDNs`: one of the two keys. */
export function readFqdn(value: Value): NameMatch[] {
  const names = readNames(value);
  if (names.length > 1) value.error(`has both: one of ${EITHER}`);
  return names;
}

/** An entry of `rules.dns`: either key, or both, which is either of the two. */
export function readNames(value: Value): NameMatch[] {
  const map = value.map(`a map with ${EITHER}`);
  if (!map) return [];
  const name = map.getNonNull('matchName');
  const pattern = map.getNonNull('matchPattern');
  map.end();
  if (!name && !pattern) value.error(`says nothing: ${EITHER}`);
  return [
    name?.parse(parseMatchName, 'a name such as www.example.com is legal') ?? [],
    pattern?.parse(parseMatchPattern, 'a pattern such as *.example.com is legal') ?? [],
  ].flat();
}
