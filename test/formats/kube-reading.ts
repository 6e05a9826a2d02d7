import { UsageError } from '../../src/errors.ts';
import type { FormatContext, PolicyPart } from '../../src/formats/part.ts';
import { type ReadPolicies, readPolicies } from '../../src/formats/read-policies.ts';
import { judge } from '../../src/policy/judge.ts';
import { parseAddress } from '../../src/policy/prefix.ts';
import { parseTarget } from '../../src/policy/target.ts';

/** What stands in a text of a policy before the place that a message is to name. */
const MARK = '§';
/** The address of any name. */
const NAMED = '203.0.113.77';
const ICMP = 1;
const ECHO = 8;

/** How a policy is read. */
export type Reading = FormatContext & { readonly lenient?: boolean };

/** Reads one file, `p.yaml`. */
export function read(text: string, reading: Reading = {}): Promise<ReadPolicies> {
  const { lenient = false, ...context } = reading;
  return readPolicies([{ file: 'p.yaml', text: text.replaceAll(MARK, '') }], { ...context, lenient });
}

/** The errors of a text, a line each. */
export async function errorsOf(text: string, reading?: Reading): Promise<string[]> {
  try {
    await read(text, reading);
  } catch (error) {
    if (error instanceof UsageError) return error.message.split('\n');
    throw error;
  }
  return [];
}

/** `p.yaml:LINE:COL: WHAT` of each mark in the text. */
export function atMarks(text: string, ...whats: readonly string[]): string[] {
  return text
    .split(MARK)
    .slice(0, -1)
    .map((_, index, pieces) => {
      const before = pieces.slice(0, index + 1).join('');
      const lines = before.split('\n');
      return `p.yaml:${lines.length}:${(lines.at(-1) ?? '').length + 1}: ${whats[index]}`;
    });
}

/**
 * What parts together say of a target as -policy takes it, or `ADDRESS icmp`: `allow SOURCE`, `deny`, or `open` when
 * none of them controls egress. A name has been looked up and answered.
 */
export function verdict(parts: readonly PolicyPart[], text: string): string {
  if (!parts.some(({ restricts }) => restricts)) return 'open';
  const [address, icmp] = text.split(' ');
  const { host, port = 0, l4Proto } = parseTarget(address ?? '');
  const { verdict, rule } = judge(
    {
      rules: parts.flatMap(({ rules }) => rules),
      dns: 'open',
      audit: false,
      allowPrivateAnswers: false,
      inbound: 'all',
    },
    {
      addr: host.kind === 'address' ? host.addr16 : parseAddress(NAMED),
      names: host.kind === 'name' ? [host.name] : [],
      ...(icmp ? { l4Proto: ICMP, port: ECHO } : { l4Proto, port }),
    },
  );
  return [verdict, rule?.source ?? ''].join(' ').trim();
}
