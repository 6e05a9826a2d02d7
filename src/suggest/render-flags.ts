import { UsageError } from '../errors.ts';
import { escapeControl } from '../flow/escape.ts';
import { MAX_PORTS, mergePorts, type PortRange, portText } from '../policy/port.ts';
import { joinPorts, portsKey } from './ports.ts';
import { LOOKUP_ONLY } from './protocols.ts';
import type { Enforcing } from './seen.ts';
import type { Document, Entry, Suggestion } from './suggestion.ts';
import { denialFlag, type FlagValue, placeFlags, portTexts, quoteWord } from './words.ts';

/** Environment of a process: one text may not be longer (MAX_ARG_STRLEN). */
const MAX_UNIT_LINE = 100_000;
const DNS_PORTS = [53, 853];

/** What flags say: one port list limits all rules. */
export interface FlagsForm {
  readonly entries: readonly Entry[];
  readonly remarks: readonly string[];
}

/** Gives every entry the ports of all, as flags do, and says so where that allows more. */
export function uniteForFlags({ entries, dns }: Suggestion): FlagsForm {
  const { ports, isWider } = joinPorts(entries.flatMap((entry) => entry.ports));
  if (ports.length > MAX_PORTS)
    throw new UsageError(
      `-format=flags has no room for ports of ${ports.length} protocols: at most ${MAX_PORTS} are legal, -format=l7egg keeps them per name`,
    );
  const isUnited = entries.some((entry) => portsKey(entry.ports) !== portsKey(ports));
  return {
    entries: entries.map((entry) => ({ ...entry, ports })),
    remarks: [
      ...(isUnited
        ? [
            `the ports ${portTexts(ports).join(', ')} are open to all of these alike: -format=l7egg keeps them per name`,
          ]
        : []),
      ...(isWider
        ? [`there is room for ${MAX_PORTS} ranges of ports: those between the nearest are open, too`]
        : []),
      ...(dns === 'strict' && isUnited && ports.some(isForDns)
        ? ['ports 53 and 853 among them let any of these be asked for names that -dns=strict refuses']
        : []),
    ],
  };
}

function isForDns({ low, high }: PortRange): boolean {
  return DNS_PORTS.some((port) => low <= port && port <= high);
}

/**
 * The list as flags: one line of words, so that the text with its remarks behind it may stand behind the command in a
 * shell, and behind `L7EGG_FLAGS=` in the file of the unit. All entries have the same ports. Throws UsageError for a
 * subject that flags can't name.
 */
export function renderFlags(suggestion: Suggestion, enforcing: Enforcing): Document {
  const { subject, entries, lookups, inbound, denials } = suggestion;
  // All ports would be open to names that were only looked up.
  const ports = entries[0]?.ports ?? [LOOKUP_ONLY];
  const flags: FlagValue[] = [
    ...placeFlags(enforcing, subject),
    ...settingsOf(suggestion, enforcing),
    ...entries.map(flagOf),
    ...lookups.map((value) => ({ flag: 'name', value })),
    ...denials.flatMap((rule) => denialFlag(rule) ?? []),
  ];
  const words = [
    ...flags.map(({ flag, value }) => sayable(flag, value)),
    ...(suggestion.allowPrivateAnswers ? ['-allow-private-answers'] : []),
    ...(inbound ? [`-inbound=${inboundTexts(inbound).join(',')}`] : []),
    `-port=${portTexts(ports).join(',')}`,
  ];
  const line = words.join(' ');
  const unsaid = denials.filter((rule) => !denialFlag(rule));
  return {
    lines: [line],
    remarks: [
      ...unsaid.map(({ source }) => `${source} denies what flags can't say: -format=l7egg keeps it`),
      ...(lookups.length > 0 && entries.length > 0
        ? [`${lookups.join(', ')}: only looked up; flags let them be called, too, -format=l7egg does not`]
        : []),
      ...(line.length > MAX_UNIT_LINE
        ? ['too long for the flags of a unit: a file of -format=l7egg is not']
        : []),
    ],
  };
}

function settingsOf({ dns, rate, ceil }: Suggestion, { isRun }: Enforcing): FlagValue[] {
  return [
    ...(dns === 'strict' || isRun ? [{ flag: 'dns', value: dns }] : []),
    ...(rate === undefined ? [] : [{ flag: 'rate', value: rate }]),
    ...(ceil === undefined ? [] : [{ flag: 'ceil', value: ceil }]),
  ];
}

function flagOf({ wanted }: Entry): FlagValue {
  switch (wanted.kind) {
    case 'name':
      return { flag: 'name', value: wanted.name };
    case 'suffix':
      return { flag: 'cn', value: wanted.suffix };
    case 'address':
      return { flag: 'cidr', value: wanted.address };
    default:
      return wanted satisfies never;
  }
}

/** Texts of -inbound; a protocol by itself is all its ports. */
export function inboundTexts(inbound: readonly PortRange[]): string[] {
  return mergePorts(inbound).map(portText);
}

function sayable(flag: string, value: string): string {
  const word = quoteWord(flag, value);
  if (word !== undefined) return word;
  throw new UsageError(
    `-format=flags can't say -${flag} "${escapeControl(value)}", which has a quote, a comma or the like: -format=l7egg is legal`,
  );
}
