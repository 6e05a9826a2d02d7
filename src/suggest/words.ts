import { type PortRange, portText } from '../policy/port.ts';
import type { Rule } from '../policy/rule.ts';
import { type Subject, subjectText } from '../policy/subject.ts';
import { whoText } from '../policy/who.ts';
import type { Enforcing } from './seen.ts';

const PLAIN_WORD = /^[A-Za-z0-9_./:=@%+,-]+$/u;
/** What no layout of quotes says alike to a shell, to xargs and to systemd; a comma ends an item of a list. */
const UNSAYABLE = /['\\,]|[^\P{C}]|[\p{Zl}\p{Zp}]/u;

/** A word as a shell takes it, and systemd and xargs as well. Undefined for what these would read differently. */
export function quoteWord(flag: string, value: string): string | undefined {
  if (UNSAYABLE.test(value)) return undefined;
  const word = `-${flag}=${value}`;
  return PLAIN_WORD.test(word) ? word : `'${word}'`;
}

/** A flag with its value; several are several words. */
export interface FlagValue {
  readonly flag: string;
  readonly value: string;
}

/** The flags that say where an enforcer works and whom it trusts, but for rules. `subject`: whom the flags are for. */
export function placeFlags(enforcing: Enforcing, subject: Subject | undefined): FlagValue[] {
  const { netns, ifaces, efaces, resolvers, areResolversGiven } = enforcing;
  const isHost = subject?.kind === 'host';
  return [
    ...(netns === undefined ? [] : [{ flag: 'netns', value: netns }]),
    ...(isHost ? ifaces.map((value) => ({ flag: 'iface', value })) : []),
    ...(isHost ? efaces.map((value) => ({ flag: 'eface', value })) : []),
    ...(subject && !enforcing.isRun ? subjectFlags(subject) : []),
    ...(areResolversGiven ? resolvers.map((value) => ({ flag: 'resolver', value })) : []),
  ];
}

function subjectFlags(subject: Subject): FlagValue[] {
  switch (subject.kind) {
    case 'host':
      return [];
    case 'cgroup':
      return [{ flag: 'cgroup', value: subject.path }];
    case 'unit':
      return [{ flag: 'cgroup', value: `unit:${subject.unit}` }];
    case 'pid':
      return [{ flag: 'cgroup', value: `pid:${subject.pid}` }];
    case 'container':
      return [{ flag: 'container', value: subject.name }];
    case 'label':
      return [{ flag: 'label', value: `${subject.key}=${subject.value}` }];
    default:
      return subject satisfies never;
  }
}

/** The flag of a deny rule; undefined where flags can't say it. */
export function denialFlag({ who, ports }: Rule): FlagValue | undefined {
  if (who.kind === 'any' || (who.kind === 'suffix' && !who.suffix.startsWith('.'))) return undefined;
  if (who.kind === 'prefix')
    return ports.length > 0 || who.except.length > 0
      ? undefined
      : { flag: 'deny-cidr', value: who.prefix.text };
  return { flag: 'deny-name', value: who.kind === 'suffix' ? `**${who.suffix}` : whoText(who) };
}

/** The texts of ports, for people and for flags. */
export function portTexts(ports: readonly PortRange[]): string[] {
  return ports.map(portText);
}

/** Whose list it is, for a headline. */
export function titleOf(subject: Subject, { isRun }: Enforcing): string {
  if (isRun) return 'the command that was run';
  return subject.kind === 'host' ? 'the host' : subjectText(subject);
}
