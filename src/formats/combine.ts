import { NothingAppliesError } from '../errors.ts';
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

/** What rules of flags are together. */
const OF_FLAGS = 'flags';
const ALLOW_ALL: Rule = { who: { kind: 'any' }, action: 'allow', ports: [], source: 'not restricted' };

/** What is to be in force, whom nothing restricts, and remarks for the owner. */
export interface Combined {
  readonly policies: readonly SubjectPolicy[];
  readonly unrestricted: readonly Subject[];
  readonly remarks: readonly string[];
}

/**
 * Adds up what flags and files say, subject by subject: rules are united, each said once. A subject for whom no flag
 * has a rule and no part restricts egress is left unrestricted, but for what parts deny. Strict DNS wins over open where
 * files differ. Throws NothingAppliesError for a subject that only parts which were left out may restrict.
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
    const ofFlags = named.has(text) ? line.rules : [];
    const rules = [
      ...ofFlags,
      ...own.flatMap(({ name, rules }) => rules.map((rule) => ({ ...rule, policy: name }))),
    ];
    const isRestricted = own.length === 0 || own.some(({ restricts }) => restricts);
    if (!isRestricted && !(named.has(text) && line.rules.length > 0)) {
      refuseLeftOut(text, own);
      const denied = rules.filter(({ action }) => action === 'deny');
      if (denied.length === 0) {
        unrestricted.push(subject);
        remarks.push(`${text}: no policy restricts its egress, so it is open`);
        continue;
      }
      remarks.push(`${text}: no policy restricts its egress, so it is open but for what is denied`);
      rules.splice(0, rules.length, ...denied, ALLOW_ALL);
    }
    const policy = combineOne(line, subject, rules, own, remarks);
    const shaping = line.shaping ?? shapingOf(own, text, remarks);
    const names = [
      ...(ofFlags.length > 0 || own.length === 0 ? [OF_FLAGS] : []),
      ...own.map(({ name }) => name),
    ];
    const files = [...new Set(own.flatMap(({ file }) => file ?? []))];
    policies.push({
      subject,
      policy,
      names: [...new Set(names)],
      ...(files.length > 0 && { files }),
      ...(shaping && { shaping }),
    });
  }
  return { policies, unrestricted, remarks };
}

/* What it would restrict is not known, and without it the subject would be open. */
function refuseLeftOut(subject: string, parts: readonly PolicyPart[]): void {
  const leftOut = parts.filter(({ isLeftOut }) => isLeftOut);
  if (leftOut.length === 0) return;
  const names = leftOut.map(({ name }) => `"${name}"`).join(', ');
  throw new NothingAppliesError(
    `${subject}: nothing would restrict its egress, and ${names}, which -lenient leaves out, may be for it: -label and -network say that`,
  );
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
    allowPrivateAnswers: line.allowPrivateAnswers || allowsPrivate(parts, subject, remarks),
    inbound: line.inbound ?? inboundOf(parts) ?? (subject.kind === 'host' ? 'all' : []),
  };
}

/* Who says no to it means it for the subject. */
function allowsPrivate(parts: readonly PolicyPart[], subject: Subject, remarks: string[]): boolean {
  const said = new Set(parts.flatMap(({ allowPrivateAnswers }) => allowPrivateAnswers ?? []));
  if (said.size > 1)
    remarks.push(
      `${subjectText(subject)}: one policy allows private answers, another does not: they are refused`,
    );
  return said.has(true) && !said.has(false);
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
