import { escapeControl } from '../flow/escape.ts';
import type { DnsEvent, Event, FlowEvent, Packet } from '../flow/event.ts';
import { protocolNumber } from '../flow/protocol.ts';
import { type InForce, remedyOfFlow, remedyOfLookup } from './remedy.ts';
import type { PageState, SubjectState } from './state.ts';

/** What would allow a refused attempt. `flags` and `policy` are to be copied; each may be missing, `remark` says why. */
export interface Allowance {
  readonly flags?: string;
  /** A policy file of kind l7egg/v1. */
  readonly policy?: string;
  readonly remark?: string;
}

interface RuleFields {
  readonly names?: readonly string[];
  readonly cidrs?: readonly string[];
  readonly ports?: readonly string[];
}

const PLAIN_NAME = /^[a-z0-9_-]+(?:\.[a-z0-9_-]+)*$/iu;
/** What YAML takes for this very text also without quotes. */
const PLAIN_TEXT = /^(?:host|[a-z][\w-]*(?:[.:/][\w-]+)+|\d+\/[a-z]+)$/iu;
/** No rule allows what can't be read. */
const UNREADABLE: readonly string[] = ['ethertype', 'unreadable', 'mapped', 'fragment', 'dns-unreadable'];
/** Tells of answers, which were refused to nobody. */
const NOT_REFUSED: readonly string[] = ['dns-unparsed', 'dns-failed', 'learned', 'observed'];

/** What would allow what an event says was, or would be, refused; undefined for other events. */
export function allowanceOf(event: Event, state: PageState): Allowance | undefined {
  if (event.kind !== 'flow' && event.kind !== 'dns') return undefined;
  if (event.reason === 'dns-inward') return inwardAnswer(event, state);
  if (event.verdict === 'allow' || NOT_REFUSED.includes(event.reason)) return undefined;
  if (UNREADABLE.includes(event.reason))
    return { remark: 'No rule allows it: what can not be read is never let pass.' };
  const subject = state.subjects.find((each) => each.subject === event.subject);
  const inForce: InForce = {
    rules: subject?.flagRule ? [subject.flagRule] : [],
    dns: subject?.dns ?? 'open',
    resolvers: state.resolvers,
  };
  const flags = event.kind === 'dns' ? remedyOfLookup(event) : remedyOfFlow(event, inForce);
  if (event.reason === 'deny-cidr' || event.reason === 'dns-denied') {
    const rule = event.rule === undefined ? 'the rule that denies it' : escapeControl(event.rule);
    return {
      remark: `Deny beats allow: it passes once ${rule} of policy ${escapeControl(event.policy)} is gone.`,
    };
  }
  const rule = event.kind === 'dns' ? ruleOfLookup(event) : ruleOfFlow(event, flags);
  const remark = remarkOn(event);
  return {
    ...(flags !== '' && isForFlags(event, subject) && { flags }),
    ...(rule && { policy: writePolicy(event, subject, rule) }),
    ...(remark !== undefined && { remark }),
  };
}

/* Flags are for the subject that they name, the host where they name none; others have their policies in files. */
function isForFlags(event: DnsEvent | FlowEvent, subject: SubjectState | undefined): boolean {
  return event.subject === 'host' || subject?.policies.includes('flags') === true;
}

function inwardAnswer(event: DnsEvent | FlowEvent, state: PageState): Allowance | undefined {
  if (event.kind !== 'dns' || event.addresses.length === 0) return undefined;
  const subject = state.subjects.find((each) => each.subject === event.subject);
  return {
    ...(isForFlags(event, subject) && { flags: `-cidr=${event.addresses.join(',')}` }),
    policy: writePolicy(event, subject, { cidrs: event.addresses }),
    remark:
      'The answer points inward. Such an address is opened by its own rule, or all of them by -allow-private-answers.',
  };
}

function ruleOfLookup({ qname }: DnsEvent): RuleFields | undefined {
  const name = qname?.replace(/\.$/u, '') ?? '';
  return PLAIN_NAME.test(name) ? { names: [name] } : undefined;
}

/* By name or by address as the flags are, but with the port of its own. */
function ruleOfFlow({ packet, names }: FlowEvent, flags: string): RuleFields | undefined {
  if (packet.family === 'unread') return undefined;
  const ports = portsOf(packet);
  const name = names.find((each) => PLAIN_NAME.test(each));
  if (name !== undefined && !flags.includes('-cidr=')) return { names: [name], ports };
  return { cidrs: [packet.dst], ports };
}

function portsOf(packet: Exclude<Packet, { readonly family: 'unread' }>): string[] {
  const { proto, dport, icmpType } = packet;
  if (icmpType !== undefined) return [`${proto}:${icmpType}`];
  if (dport !== undefined && ['tcp', 'udp', 'sctp'].includes(proto)) return [`${dport}/${proto}`];
  return [`proto:${protocolNumber(proto) ?? 0}`];
}

function remarkOn(event: DnsEvent | FlowEvent): string | undefined {
  if (event.kind === 'dns') return 'A lookup has no port: add ports to the rule to limit what follows it.';
  if (event.names.length === 0)
    return 'No name is known that leads to this address: the rule is for the address.';
  return undefined;
}

function writePolicy(
  event: DnsEvent | FlowEvent,
  subject: SubjectState | undefined,
  { names, cidrs, ports }: RuleFields,
): string {
  const what = names?.[0] ?? cidrs?.[0] ?? 'it';
  const list = (key: string, items: readonly string[] | undefined): string[] =>
    items === undefined ? [] : [`    ${key}: [${items.map(quote).join(', ')}]`];
  return [
    'apiVersion: l7egg/v1',
    'kind: EgressPolicy',
    `name: ${quote(`allow ${what}`)}`,
    `subject: ${quote(event.subject)}`,
    // The flag that says so may go, once this file is there.
    ...(subject?.dns === 'strict' ? ['dns: strict'] : []),
    'rules:',
    `  - name: ${quote(what)}`,
    ...list('names', names),
    ...list('cidrs', cidrs),
    ...list('ports', ports),
    '',
  ].join('\n');
}

/* A JSON string is a YAML string; what is not ASCII may move text around it, so it is written by its number. */
function quote(text: string): string {
  if (PLAIN_TEXT.test(text)) return text;
  return JSON.stringify(text).replace(
    /[^ -~]/g,
    (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}
