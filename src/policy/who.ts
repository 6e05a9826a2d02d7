import { matchesName, type NameMatch } from './name.ts';
import { contains, type Prefix, parsePrefix } from './prefix.ts';

/**
 * What a rule speaks of: every address; the addresses of a prefix but for those of its exceptions, which lie inside
 * it; or names, whose answers teach addresses.
 */
export type Who =
  | { readonly kind: 'any' }
  | { readonly kind: 'prefix'; readonly prefix: Prefix; readonly except: readonly Prefix[] }
  | NameMatch;

/** Whether it speaks of addresses as they are, not of what names lead to. */
export function isByAddress(who: Who): who is Exclude<Who, NameMatch> {
  return who.kind === 'any' || who.kind === 'prefix';
}

/** Whether an address is one that `who` speaks of; names speak of none by themselves. */
export function holdsAddress(who: Who, addr16: Uint8Array): boolean {
  if (who.kind === 'any') return true;
  if (who.kind !== 'prefix') return false;
  return contains(who.prefix, addr16) && !who.except.some((prefix) => contains(prefix, addr16));
}

/** Whether `who` means this name. */
export function holdsName(who: Who, name: string): boolean {
  return !isByAddress(who) && matchesName(who, name);
}

/** Stands for every name, where a suffix would be the empty text. */
const EVERY_NAME = '*';
const EXCEPT = '!';

/** The canonical text: `any`, `10.0.0.0/8`, `10.0.0.0/8!10.1.0.0/16!10.2.0.0/16`, `.example.com`, `*.example.com`. */
export function whoText(who: Who): string {
  switch (who.kind) {
    case 'any':
      return 'any';
    case 'prefix':
      return [who.prefix, ...who.except].map(({ text }) => text).join(EXCEPT);
    case 'suffix':
      return who.suffix || EVERY_NAME;
    case 'exact':
      return who.name;
    case 'pattern':
      return who.pattern;
    default:
      return who satisfies never;
  }
}

/** What was written by `whoText`; undefined for an unknown kind. Throws UsageError for a text that is no prefix. */
export function parseWho(kind: string, text: string): Who | undefined {
  switch (kind) {
    case 'any':
      return { kind };
    case 'prefix': {
      const [first = '', ...others] = text.split(EXCEPT);
      const except = others.map((each) => parsePrefix(each).prefix);
      return { kind, prefix: parsePrefix(first).prefix, except };
    }
    case 'suffix':
      return { kind, suffix: text === EVERY_NAME ? '' : text };
    case 'exact':
      return { kind, name: text };
    case 'pattern':
      return { kind, pattern: text };
    default:
      return undefined;
  }
}
