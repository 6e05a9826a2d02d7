import type { Policy, SubjectPolicy } from '../policy/policy.ts';
import type { PortRange } from '../policy/port.ts';
import { type DnsMode, dropRepeated, type Rule } from '../policy/rule.ts';
import type { Shaping } from '../policy/shaping.ts';
import { type Subject, subjectText } from '../policy/subject.ts';
import type { PolicyPart } from './part.ts';

/** What the command line says of policies, beside their files. */
export interface CommandLinePolicy {
  /** Whom the rules of flags are for, and the parts that name nobody. */
  readonly subjects: readonly Subject[];
  readonly rules: readonly Rule[];
  /** Undefined = files decide, and then the default. */
  readonly dns?: DnsMode;
  readonly defaultDns: DnsMode;
  readonly audit: boolean;
  readonly allowPrivateAnswers: boolean;
  /** Local ports on which calls from outside are taken; undefined: on all by the host, on none by other subjects. */
  readonly inbound?: readonly PortRange[];
  readonly shaping?: Shaping;
}

/** What is to be in force, whom nothing restricts, and remarks for the owner. */
export interface Combined {
  readonly policies: readonly SubjectPolicy[];
  readonly unrestricted: readonly Subject[];
  readonly remarks: readonly string[];
}

/**
 * Adds up what flags and files say, subject by subject: rules are united, each said once. A subject for whom no flag
 * has a rule and no part restricts egress is left unrestricted. Strict DNS wins over open where files differ.
 */
export function combinePolicies(line: CommandLinePolicy, parts: readonly PolicyPart[]): Combined {
  const remarks: string[] = [];
  const bySubject = new Map<string, { subject: Subject; parts: PolicyPart[] }>();
  const enter = (subject: Subject, more: readonly PolicyPart[]) => {
    const entry = bySubject.get(subjectText(subject)) ?? { subject, parts: [] };
    entry.parts.push(...more);
    bySubject.set(subjectText(subject), entry);
  };
  const unnamed = parts.filter(({ subject }) => subject === undefined);
  if (line.rules.length > 0 || unnamed.length > 0 || parts.length === 0)
    for (const subject of line.subjects) enter(subject, unnamed);
  for (const part of parts) if (part.subject) enter(part.subject, [part]);

  const policies: SubjectPolicy[] = [];
  const unrestricted: Subject[] = [];
  const named = new Set(line.subjects.map(subjectText));
  for (const [text, { subject, parts: own }] of bySubject) {
    const rules = named.has(text) ? line.rules : [];
    if (rules.length === 0 && own.length > 0 && !own.some(({ restricts }) => restricts)) {
      unrestricted.push(subject);
      remarks.push(`${text}: no policy restricts its egress, so it stays open`);
      continue;
    }
    const policy = combineOne(line, subject, [...rules, ...own.flatMap((part) => part.rules)], own, remarks);
    const shaping = line.shaping ?? shapingOf(own, text, remarks);
    policies.push({ subject, policy, ...(shaping && { shaping }) });
  }
  return { policies, unrestricted, remarks };
}

function combineOne(
  line: CommandLinePolicy,
  subject: Subject,
  rules: readonly Rule[],
  parts: readonly PolicyPart[],
  remarks: string[],
): Policy {
  const modes = new Set(parts.flatMap(({ dns }) => dns ?? []));
  if (line.dns === undefined && modes.size > 1)
    remarks.push(`${subjectText(subject)}: one policy says dns open, another strict: strict it is`);
  const said = modes.has('strict') ? 'strict' : modes.has('open') ? 'open' : undefined;
  return {
    rules: dropRepeated(rules, (text) => remarks.push(text)),
    dns: line.dns ?? said ?? line.defaultDns,
    audit: line.audit,
    allowPrivateAnswers:
      line.allowPrivateAnswers || parts.some(({ allowPrivateAnswers }) => allowPrivateAnswers === true),
    inbound: line.inbound ?? inboundOf(parts) ?? (subject.kind === 'host' ? 'all' : []),
  };
}

/* Rates do not add up: the first counts. */
function shapingOf(parts: readonly PolicyPart[], subject: string, remarks: string[]): Shaping | undefined {
  const [first, ...others] = parts.filter(({ shaping }) => shaping);
  for (const { name, shaping } of others) {
    const isSame =
      shaping?.rateBitsPerSecond === first?.shaping?.rateBitsPerSecond &&
      shaping?.ceilBitsPerSecond === first?.shaping?.ceilBitsPerSecond;
    if (!isSame)
      remarks.push(`${subject}: "${name}" says another shaping than "${first?.name}", which counts`);
  }
  return first?.shaping;
}

/* Ports of all that name any, together. */
function inboundOf(parts: readonly PolicyPart[]): readonly PortRange[] | undefined {
  const lists = parts.flatMap(({ inbound }) => (inbound ? [inbound] : []));
  return lists.length > 0 ? lists.flat() : undefined;
}
