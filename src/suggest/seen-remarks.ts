import { escapeControl } from '../flow/escape.ts';
import { Protocol } from '../flow/protocol.ts';
import { isInward } from '../policy/inward.ts';
import { portText } from '../policy/port.ts';
import { parseAddress } from '../policy/prefix.ts';
import { isPlainName } from './plain-name.ts';
import { PORTED } from './protocols.ts';
import type { Seen, SeenFlow, SeenLookup, SeenMissing, SubjectInForce, SubjectSeen } from './seen.ts';
import { portsOf, targetText } from './seen-flow-text.ts';

const DNS_PORT = 53;
/** Remarks of one kind; the rest is counted. */
const MAX_OF_A_KIND = 100;

/** What was seen and is not in the list, a sentence each, escaped, with the flag that would allow it where there is one. */
export function seenRemarks({ inForce, seen, enforcing }: Omit<SubjectSeen, 'denials'>): string[] {
  const flows = (fate: SeenFlow['fate']) =>
    seen.flows.filter((each) => each.fate === fate && each.way === 'call');
  const lookups = (fate: SeenLookup['fate']) => seen.lookups.filter((each) => each.fate === fate);
  return [
    ...some(
      [...lookups('refused').map(refusedLookup), ...flows('refused').map(refusedFlow)],
      'refused targets',
    ),
    ...some([...lookups('barred').map(barredLookup), ...flows('barred').map(barredFlow)], 'denied targets'),
    ...some(
      seen.flows.filter(({ way }) => way === 'reply').map((flow) => replyRemark(flow, inForce.inbound)),
      'kinds of replies',
    ),
    ...some(
      flows('passed').flatMap((flow) => lowPortRemark(flow, inForce.inbound)),
      'calls from low ports',
    ),
    ...seen.unread.map(
      ({ reason, count }) =>
        `${timesText(count)} something that can't be read was sent (${reason}): no rule can allow that`,
    ),
    ...untrustedResolvers(seen.flows),
    ...hiddenLookups(inForce, seen),
    ...(enforcing.adopted
      ? [
          'flows that were allowed before this process took over went on without being told of: they may be missing',
        ]
      : []),
    ...seen.missing.map(missingRemark),
    ...(seen.others > 0 ? [`${seen.others} packets found no room any more: where they went is missing`] : []),
    ...(seen.lost > 0 ? [`${seen.lost} events were lost, so something may be missing`] : []),
  ];
}

function missingRemark({ what, count }: SeenMissing): string {
  return what === 'lookups'
    ? `${count} lookups found no room any more: their names are missing, and calls to them stand as addresses`
    : `${count} addresses may have more names than are kept: such names are missing`;
}

function refusedFlow(flow: SeenFlow): string {
  const ports = portsOf(flow);
  const [address = ''] = flow.addresses;
  const isNamed = flow.name !== undefined && isPlainName(flow.name);
  // A name alone takes no inward address.
  const isByAddress = !isNamed || (address !== '' && isInward(parseAddress(address), []));
  const who = [...(isNamed ? [`-name=${flow.name}`] : []), ...(isByAddress ? [`-cidr=${address}`] : [])];
  const remedy =
    ports.length === 0
      ? 'no rule can name port 0'
      : `${who.join(' ')} -port=${ports.map(portText).join(',')}`;
  return `refused ${timesText(flow.count)}: ${targetText(flow)}: ${remedy}`;
}

function refusedLookup({ name, count }: SeenLookup): string {
  const remedy = isPlainName(name) ? `-name=${name}` : 'the name can not be written in a rule';
  return `refused ${timesText(count)}: lookup of ${escapeControl(name)}: ${remedy}`;
}

function barredFlow(flow: SeenFlow): string {
  return `denied ${timesText(flow.count)}: ${targetText(flow)}: without ${escapeControl(flow.rule ?? 'a deny rule')}`;
}

function barredLookup({ name, count, rule }: SeenLookup): string {
  return `denied ${timesText(count)}: lookup of ${escapeControl(name)}: without ${escapeControl(rule ?? 'a deny rule')}`;
}

/* Where calls from outside are taken their replies need no rule: what is left came too late, or nobody had called. */
function replyRemark(flow: SeenFlow, inbound: readonly string[] | undefined): string {
  const [address = '-'] = flow.addresses;
  const ports = portsOf(flow).map(portText).join(', ');
  if (flow.l4Proto === Protocol.icmp || flow.l4Proto === Protocol.icmpv6)
    return `replies and errors (${ports}) were sent to ${address}: replies to what is allowed pass by themselves`;
  if (inbound === undefined || !PORTED.includes(flow.l4Proto))
    return `what looks like late replies of port ${ports} was sent to ${address}: replies to calls from outside pass by themselves, a call from that port would need -cidr=${address}`;
  if (flow.fate === 'passed')
    return `replies of port ${ports} were sent to ${address}: calls from outside are taken there (-inbound=${ports})`;
  return `refused ${timesText(flow.count)}: replies of port ${ports} to ${address}: -inbound=${ports}`;
}

/* A server that had ended by then, or of a network namespace of its own, could not be seen. */
function lowPortRemark(flow: SeenFlow, inbound: readonly string[] | undefined): string[] {
  const { fromPort, l4Proto } = flow;
  if (inbound === undefined || fromPort === undefined) return [];
  const own = portText({ l4Proto, low: fromPort, high: fromPort });
  return [
    `${targetText(flow)} was called from port ${own}, where no server was found: if these are replies of one, -inbound=${own} is for them, not a rule`,
  ];
}

/* Only answers of trusted resolvers name what is called behind them. */
function untrustedResolvers(flows: readonly SeenFlow[]): string[] {
  const asked = flows.filter(
    ({ way, fate, port }) => way === 'call' && fate === 'passed' && port === DNS_PORT,
  );
  return [...new Set(asked.flatMap(({ addresses }) => addresses))].map(
    (address) =>
      `${address} was asked on port 53 and is no trusted resolver: -resolver=${address} would let its answers name what is called`,
  );
}

/* A lookup that a rule allows, and whose answer has no address, is nothing that is told of. */
function hiddenLookups(inForce: SubjectInForce, seen: Seen): string[] {
  if (inForce.dns !== 'strict' || !seen.flows.some(({ reasons }) => reasons.includes('rule-name'))) return [];
  return [
    'lookups that a rule in force allows, and whose answers have no address (SRV, TXT, MX), are not told of: such names have to be added by hand',
  ];
}

function some(remarks: readonly string[], what: string): string[] {
  const shown = [...new Set(remarks)];
  if (shown.length <= MAX_OF_A_KIND) return shown;
  return [...shown.slice(0, MAX_OF_A_KIND), `and ${shown.length - MAX_OF_A_KIND} more ${what}`];
}

function timesText(count: number): string {
  return count === 1 ? 'once' : `${count} times`;
}
