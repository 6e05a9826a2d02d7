import { HOST_POLICY } from '../datapath/compile.ts';
import { findLearned } from '../datapath/learned.ts';
import type { MapSource } from '../datapath/state.ts';
import { encodeStruct } from '../datapath/struct.ts';
import { isLoopback, parseResolver } from '../dns/resolver.ts';
import { formatAddress } from '../flow/address.ts';
import { bootTimeNs } from '../libbpf/clock.ts';
import type { Decision } from '../policy/decide.ts';
import { isInward } from '../policy/inward.ts';
import { openRules } from '../policy/open-rules.ts';
import { letsPass, type Rule } from '../policy/rule.ts';
import { portText, type Target } from '../policy/target.ts';
import { holdsAddress, isByAddress } from '../policy/who.ts';
import type { InstanceRecord, RecordedPolicy } from './run-dir.ts';

/** A verdict with its reason. */
export type Answer = Omit<Decision, 'considered'>;

/** What a check is judged by. */
export interface InForce {
  readonly state: MapSource;
  readonly record: InstanceRecord;
  readonly policy: RecordedPolicy;
  readonly rules: ReadonlyMap<number, Rule>;
}

/** A rule that an answer opened the address to. */
export interface LiveLease {
  readonly rule: Rule;
  readonly seconds: number;
}

/** The leases that hold an address now. */
export function liveLeases({ state, policy, rules }: InForce, addr16: Uint8Array): LiveLease[] {
  const now = Number(bootTimeNs() / 1_000_000_000n);
  const leases = findLearned(state, encodeStruct('host_key', { addr: addr16, policy: policy.policyId }));
  return leases.flatMap(({ ruleId, endsAt }) => {
    const rule = rules.get(ruleId);
    return rule && endsAt > now ? [{ rule, seconds: endsAt - now }] : [];
  });
}

/**
 * Judges an address by what is in force. `listing`: rules of a name that leads to it, which would take a lease once
 * the subject itself asked for it.
 */
export function checkAddress(
  inForce: InForce,
  target: Target,
  addr16: Uint8Array,
  listing: readonly Rule[] = [],
): Answer {
  const { state, record, policy, rules } = inForce;
  const address = formatAddress(addr16);
  if (isResolverPort(record, target, addr16))
    return { verdict: 'allow', because: `${address} is a trusted resolver, and this its DNS port` };
  if (policy.policyId === HOST_POLICY && isLocal(state, record, addr16))
    return { verdict: 'allow', because: `${address} is of this host: it leaves by no controlled interface` };
  const covering = [...rules.values()].filter(({ who }) => holdsAddress(who, addr16));
  const live = liveLeases(inForce, addr16);
  const learnable = isLearnable(inForce, addr16, covering) ? listing : [];
  const speaking = [...covering, ...live.map(({ rule }) => rule), ...learnable];
  const open = openRules(speaking, policy.dns, target);
  const denial = open.find(({ action }) => action === 'deny');
  if (denial) return { verdict: 'deny', because: `${denial.source} denies ${address}` };
  const allowing = open.find(letsPass);
  if (allowing) return { verdict: 'allow', because: describeAllowing(allowing, address, live) };
  const other = speaking.find(letsPass);
  if (other)
    return { verdict: 'deny', because: `${other.source} holds ${address}, but not ${portText(target)}` };
  const inward = listing.some(letsPass) && learnable.length === 0;
  const hint = inward
    ? `, an inward address: -cidr=${address} or -allow-private-answers lets names lead there`
    : '';
  return { verdict: 'deny', because: `no rule holds ${address}${hint}` };
}

function describeAllowing(rule: Rule, address: string, live: readonly LiveLease[]): string {
  if (isByAddress(rule.who)) return `${rule.source} contains ${address}`;
  const lease = live.find((each) => each.rule === rule);
  if (lease) return `${rule.source} leases ${address} for ${lease.seconds} s more`;
  return `${rule.source} leases ${address} to whoever asks for it`;
}

/* As the kernel takes leases: private addresses and the host's own only where a rule says so. */
function isLearnable({ state, policy }: InForce, addr16: Uint8Array, covering: readonly Rule[]): boolean {
  if (policy.allowPrivateAnswers === true || covering.some(letsPass)) return true;
  return !isInward(addr16, []) && state.map('own_addresses').get(addr16) === undefined;
}

function isLocal(state: MapSource, record: InstanceRecord, addr16: Uint8Array): boolean {
  if (record.interfaces.some(({ name, enforces }) => name === 'lo' && enforces)) return false;
  return isLoopback({ addr16 }) || state.map('own_addresses').get(addr16) !== undefined;
}

function isResolverPort(record: InstanceRecord, { port, l4Proto }: Target, addr16: Uint8Array): boolean {
  return (
    (l4Proto === 6 || l4Proto === 17) &&
    record.resolvers
      .map((text) => parseResolver(text))
      .some((resolver) => resolver.port === port && Buffer.compare(resolver.addr16, addr16) === 0)
  );
}
