import { escapeControl } from '../flow/escape.ts';
import { isInward } from '../policy/inward.ts';
import { type PortRange, parsePort } from '../policy/port.ts';
import { isAddress, parseAddress } from '../policy/prefix.ts';
import { parseCanonicalRule, type Rule } from '../policy/rule.ts';
import { parseSubject } from '../policy/subject.ts';
import { holdsName } from '../policy/who.ts';
import { findDenial } from './denials.ts';
import { EntryTable, MAX_NAMES } from './entry-table.ts';
import { isPlainName } from './plain-name.ts';
import { PORTED } from './protocols.ts';
import type { SeenFlow, SeenLookup, SubjectSeen } from './seen.ts';
import { portsOf, targetText } from './seen-flow-text.ts';
import { seenRemarks } from './seen-remarks.ts';
import type { Suggestion } from './suggestion.ts';

/**
 * The list that would allow what a subject did, complete by itself: also what rules in force allow. Names go before
 * addresses; an address stands where no name is known that can be written, and beside a name whose answers would not be
 * learned as they point inward. What a deny rule speaks against is never in it. `saysPrivate`: the format has a word for
 * -allow-private-answers.
 */
export function suggestList(
  { inForce, seen, denials: canonical, enforcing }: SubjectSeen,
  saysPrivate: boolean,
): Suggestion {
  const denials = canonical.map(({ rule, source }) => parseCanonicalRule(rule, source));
  const own = enforcing.ownAddresses.filter(isAddress).map(parseAddress);
  const allowPrivateAnswers = saysPrivate && inForce.allowPrivateAnswers;
  const table = new EntryTable();
  const remarks: string[] = [];
  const inbound: PortRange[] = [];
  for (const flow of seen.flows) {
    if (flow.fate !== 'passed') continue;
    if (flow.way === 'reply') {
      if (inForce.inbound && PORTED.includes(flow.l4Proto)) inbound.push(...portsOf(flow));
    } else {
      remarks.push(...enterFlow(table, flow, denials, { own, takesPrivate: allowPrivateAnswers }));
    }
  }
  const lookups = inForce.dns === 'strict' ? lookupsOf(seen.lookups, table, denials, remarks) : [];
  const before = (inForce.inbound ?? []).flatMap(parsePort);
  return {
    subject: parseSubject(inForce.subject),
    entries: table.entries(),
    lookups,
    dns: inForce.dns,
    allowPrivateAnswers,
    ...(inForce.inbound && before.length + inbound.length > 0 && { inbound: [...before, ...inbound] }),
    ...(inForce.rate !== undefined && { rate: inForce.rate }),
    ...(inForce.ceil !== undefined && { ceil: inForce.ceil }),
    denials,
    remarks: [...table.remarks, ...new Set(remarks), ...seenRemarks({ inForce, seen, enforcing })],
  };
}

interface Inward {
  readonly own: readonly Uint8Array[];
  readonly takesPrivate: boolean;
}

/* Answers what has to be said of it. */
function enterFlow(table: EntryTable, flow: SeenFlow, denials: readonly Rule[], inward: Inward): string[] {
  const ports = portsOf(flow);
  if (ports.length === 0) return [`${targetText(flow)} passed, and no rule can name port 0`];
  const { name, addresses, hasMore } = flow;
  const denial = denials.find(({ who }) => name !== undefined && holdsName(who, name));
  if (denial) return [`${targetText(flow)} passed, and ${denial.source} denies that name: not in the list`];
  if (name !== undefined && isPlainName(name)) {
    table.addName(name, ports, addresses, hasMore);
    const pointing = inward.takesPrivate
      ? []
      : addresses.filter((each) => isInward(parseAddress(each), inward.own));
    for (const address of pointing) table.addAddress(address, ports, [name]);
    return [
      ...pointing.map(
        (address) =>
          `${name} leads to the private address ${address}, which is in the list for its answer to count: -allow-private-answers would take any`,
      ),
      ...(flow.reasons.includes('lease-ended')
        ? [
            `${name} was also reached after its lease had ended: what keeps its address that long needs the address in the list`,
          ]
        : []),
    ];
  }
  const remarks: string[] = [];
  if (name === undefined && flow.reasons.includes('rule-name'))
    remarks.push(
      `${targetText(flow)} passed by ${escapeControl(flow.rule ?? 'a rule for names')}, and which name led there is not known any more`,
    );
  for (const address of addresses) {
    const barring = ports.map((range) => findDenial(denials, address, range)).find((rule) => rule);
    if (barring)
      remarks.push(`${targetText(flow)} passed, and ${barring.source} denies that address: not in the list`);
    else table.addAddress(address, ports, name === undefined ? [] : [escapeControl(name)]);
  }
  if (name !== undefined)
    remarks.push(
      `the name "${escapeControl(name)}" can't be written in a rule, so its addresses are in the list`,
    );
  return remarks;
}

function lookupsOf(
  lookups: readonly SeenLookup[],
  table: EntryTable,
  denials: readonly Rule[],
  remarks: string[],
): string[] {
  const names: string[] = [];
  for (const { name, fate } of lookups) {
    if (fate !== 'passed' || table.hasName(name) || denials.some(({ who }) => holdsName(who, name))) continue;
    if (isPlainName(name)) names.push(name);
    else if (name !== '.')
      remarks.push(`the name "${escapeControl(name)}" was looked up and can't be written in a rule`);
  }
  const room = MAX_NAMES - table.names;
  if (names.length > room)
    remarks.push(
      `${names.length - room} names that were only looked up were left out: a policy has room for ${MAX_NAMES} names`,
    );
  return names.sort().slice(0, room);
}
