import { UsageError } from '../errors.ts';
import { DOTS, isAscii, labelToAscii } from './idn.ts';
import { isAddress } from './prefix.ts';

/**
 * Which names a rule means; texts are lower-case ASCII without a final dot.
 * `suffix` compares as plain text and may begin with a dot or in the middle of a label.
 * `pattern` has at least one `*`, each zero or more characters of one label; with `**.` in front one or
 * more labels come before the rest.
 */
export type NameMatch =
  | { readonly kind: 'suffix'; readonly suffix: string }
  | { readonly kind: 'exact'; readonly name: string }
  | { readonly kind: 'pattern'; readonly pattern: string };

/** What a pattern begins with when one or more labels may stand before the rest. */
export const DEEP = '**.';

const MAX_LABEL = 63;
const MAX_NAME = 253;
const LEGAL = 'letters, digits, "-", "_" and single dots between labels are legal';

/** Parses one whole name, without `*`, to its canonical text. Throws UsageError. */
export function parseName(text: string): string {
  return parseLabels('name', text, withoutFinalDot(text), false);
}

/** Parses the value of `-cn`: a plain suffix, a leading dot allowed, no `*`. Throws UsageError. */
export function parseSuffix(text: string): NameMatch {
  if (text.includes('*')) {
    throw new UsageError(
      `suffix "${text}" has a "*", legal in -name and "names" only: a suffix such as .example.com means every name under example.com`,
    );
  }
  const body = withoutFinalDot(text);
  const hasDot = body.length > 1 && DOTS.test(body.charAt(0));
  const name = parseLabels('suffix', text, hasDot ? body.slice(1) : body, false);
  return { kind: 'suffix', suffix: checkLength('suffix', text, hasDot ? `.${name}` : name) };
}

/**
 * Parses the value of `-name` and `-deny-name`: an exact name, or a pattern in which `*` is zero or more
 * characters of one label; `**.` in front of a name means one or more labels. Throws UsageError.
 */
export function parsePattern(text: string): NameMatch {
  const body = withoutFinalDot(text);
  if (body.includes('**')) {
    const [, rest = '**'] = /^\*\*[.\u3002\uff0e\uff61](.+)$/su.exec(body) ?? [];
    if (rest.includes('**')) {
      throw new UsageError(`pattern "${text}" has "**", legal only as "**." in front: **.example.com`);
    }
    if (rest.includes('*')) {
      const pattern = DEEP + parseLabels('pattern', text, rest, true);
      return { kind: 'pattern', pattern: checkLength('pattern', text, pattern) };
    }
    return {
      kind: 'suffix',
      suffix: checkLength('pattern', text, `.${parseLabels('pattern', text, rest, false)}`),
    };
  }
  if (body.length > 1 && DOTS.test(body.charAt(0))) {
    throw new UsageError(
      `name "${text}" begins with a dot, legal in -cn and "suffixes" only: for all names under one write **${body}`,
    );
  }
  if (!body.includes('*')) return { kind: 'exact', name: parseName(text) };
  return { kind: 'pattern', pattern: parseLabels('pattern', text, body, true) };
}

/** Whether `name`, in any ASCII case and with or without a final dot, is one that `match` means. */
export function matchesName(match: NameMatch, name: string): boolean {
  const plain = name.toLowerCase().replace(/\.$/u, '');
  switch (match.kind) {
    case 'suffix':
      return plain.endsWith(match.suffix);
    case 'exact':
      return plain === match.name;
    case 'pattern': {
      const isDeep = match.pattern.startsWith(DEEP);
      const patterns = (isDeep ? match.pattern.slice(DEEP.length) : match.pattern).split('.');
      const all = plain.split('.');
      const labels = isDeep ? all.slice(-patterns.length) : all;
      return (
        plain !== '' &&
        (!isDeep || all.length > patterns.length) &&
        labels.length === patterns.length &&
        labels.every((label, index) => matchesLabel(patterns[index] ?? '', label))
      );
    }
    default:
      return match satisfies never;
  }
}

/**
 * A name of some other owner that a suffix also matches, as its first label is open to the left:
 * `ome.com` → `home.com`. Undefined when there is none, as for `.x.com`.
 */
export function alsoMatches(suffix: string): string | undefined {
  if (suffix.startsWith('.')) return undefined;
  const longer = [/^[aeiou]/u.test(suffix) ? 'h' : 'not', 'x'].map((start) => start + suffix);
  return longer.find((name) => name.length <= MAX_NAME && name.split('.').every(isShort));
}

function isShort(label: string): boolean {
  return label.length <= MAX_LABEL;
}

/* What stands behind a `*` is sought further right as long as it does not match: of several only the last may move. */
function matchesLabel(pattern: string, label: string): boolean {
  let [at, behindStar, soughtFrom] = [0, -1, 0];
  let index = 0;
  while (index < label.length) {
    if (pattern[at] === '*') {
      at += 1;
      [behindStar, soughtFrom] = [at, index];
    } else if (pattern[at] === label[index]) {
      at += 1;
      index += 1;
    } else if (behindStar >= 0) {
      soughtFrom += 1;
      [at, index] = [behindStar, soughtFrom];
    } else {
      return false;
    }
  }
  while (pattern[at] === '*') at += 1;
  return at === pattern.length;
}

function withoutFinalDot(text: string): string {
  return text.length > 0 && DOTS.test(text.charAt(text.length - 1)) ? text.slice(0, -1) : text;
}

function parseLabels(noun: string, text: string, body: string, isPattern: boolean): string {
  if (body.trim() === '')
    throw new UsageError(`${noun} "${text}" is empty: a name such as example.com is legal`);
  if (isAddress(body)) {
    throw new UsageError(`${noun} "${text}" is an address: -cidr, -deny-cidr and "cidrs" take addresses`);
  }
  const labels = body.split(DOTS).map((label) => {
    if (label === '') throw new UsageError(`${noun} "${text}" has an empty label: ${LEGAL}`);
    const ascii = isPattern ? patternLabelToAscii(label) : labelToAscii(label);
    if (ascii === undefined || ascii === '') {
      throw new UsageError(`${noun} "${text}" has "${label}", which can't be in a name: ${LEGAL}`);
    }
    if (ascii.length > MAX_LABEL) {
      throw new UsageError(`${noun} "${text}" has a label of ${ascii.length} characters: 1 to 63 are legal`);
    }
    return ascii;
  });
  return checkLength(noun, text, labels.join('.'));
}

/** Part of a label can't be turned into punycode, so a label with `*` is ASCII. */
function patternLabelToAscii(label: string): string | undefined {
  if (!label.includes('*')) return labelToAscii(label);
  if (!isAscii(label)) return undefined;
  const pieces = label.split('*').map(labelToAscii);
  return pieces.includes(undefined) ? undefined : pieces.join('*');
}

function checkLength(noun: string, text: string, name: string): string {
  if (name.length <= MAX_NAME) return name;
  throw new UsageError(`${noun} "${text}" is ${name.length} characters long: at most 253 are legal`);
}
