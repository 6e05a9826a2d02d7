import { HOST_POLICY } from '../datapath/compile.ts';
import { findLearned } from '../datapath/learned.ts';
import { Pins } from '../datapath/pins.ts';
import { activeEpoch } from '../datapath/policy-slot.ts';
import { type MapSource, openPinnedMaps } from '../datapath/state.ts';
import { encodeStruct } from '../datapath/struct.ts';
import { RecordType } from '../dns/record-type.ts';
import { isLoopback, parseResolver } from '../dns/resolver.ts';
import { UsageError } from '../errors.ts';
import { formatAddress } from '../flow/address.ts';
import { bootTimeNs } from '../libbpf/clock.ts';
import { type Decision, decide } from '../policy/decide.ts';
import { describeRule } from '../policy/describe.ts';
import { matchesPort } from '../policy/port.ts';
import { type DnsMode, letsPass, parseCanonicalRule, portsInForce, type Rule } from '../policy/rule.ts';
import { type Subject, subjectText } from '../policy/subject.ts';
import { portText, type Target } from '../policy/target.ts';
import { holdsAddress, holdsName } from '../policy/who.ts';
import { anyOf } from '../wording.ts';
import { Asker } from './asker.ts';
import { type InstanceRecord, type RecordedPolicy, RunDir } from './run-dir.ts';
import { readStatus } from './status.ts';

type Answer = Omit<Decision, 'considered'>;

/** What a check is judged by. */
interface InForce {
  readonly state: MapSource;
  readonly record: InstanceRecord;
  readonly policyId: number;
  readonly dns: DnsMode;
  /** With the ports as they are in force. */
  readonly rules: ReadonlyMap<number, Rule>;
}

/**
 * Whether a connection would pass what is in force; undefined when nothing is. A name is looked up, as the
 * program would do: its answer teaches, and its addresses are judged by the leases. Throws SystemError.
 */
export async function checkTarget(
  instance: string,
  target: Target,
  subject?: Subject,
): Promise<Decision | undefined> {
  if (!readStatus(instance).enforcing) return undefined;
  using state = openPinnedMaps(new Pins(instance));
  const record = new RunDir(instance).readRecord(activeEpoch(state));
  if (!record) return undefined;
  const { policyId, dns } = choosePolicy(record, subject);
  const own = record.rules
    .filter((each) => each.policyId === policyId)
    .map(({ id, canonical, source }) => ({ id, rule: parseCanonicalRule(canonical, source) }));
  const rules = new Map(own.map(({ id, rule }) => [id, { ...rule, ports: portsInForce(rule, dns) }]));
  const inForce = { state, record, policyId, dns, rules };
  const { host } = target;
  const answer =
    host.kind === 'address'
      ? checkAddress(inForce, target, host.addr16)
      : await checkName(inForce, target, host.name);
  const policy = { rules: own.map(({ rule }) => rule), dns, audit: false, allowPrivateAnswers: false };
  const { considered } = decide({ ...policy, inbound: 'all' }, target);
  const leases = host.kind === 'address' ? liveLeases(inForce, host.addr16) : [];
  const leasing = leases.map(({ rule, seconds }) => {
    const says = hasPort(rule, target) ? 'applies' : `not ${portText(target)}`;
    return `${describeRule(rule)} (${rule.source}), by a lease for ${seconds} s more: ${says}`;
  });
  return { ...answer, considered: [...considered, ...leasing] };
}

function choosePolicy({ policies }: InstanceRecord, subject: Subject | undefined): RecordedPolicy {
  const names = policies.map((each) => each.subject);
  const wanted = subject ? subjectText(subject) : names.length === 1 ? names[0] : 'host';
  const found = policies.find((each) => each.subject === wanted);
  if (found) return found;
  throw new UsageError(
    `${subject ? `-subject "${wanted}" has no policy in force` : 'policies of several subjects are in force, say which with -subject'}: ${anyOf(names)} is legal`,
  );
}

async function checkName(inForce: InForce, target: Target, name: string): Promise<Answer> {
  const { rules, dns } = inForce;
  const listing = [...rules.values()].filter(({ who }) => holdsName(who, name));
  const denial = listing.find(({ action }) => action === 'deny');
  if (denial) return { verdict: 'deny', because: `${denial.source}: lookups of ${name} are refused` };
  const listed = listing.filter(letsPass);
  const allowing = listed.find((rule) => hasPort(rule, target));
  if (allowing) return await checkListed(inForce, target, name, `${allowing.source} lists ${name}`);
  const [other] = listed;
  if (other) {
    return { verdict: 'deny', because: `${other.source} lists ${name}, but not ${portText(target)}` };
  }
  return await checkUnlisted(inForce, target, name, dns === 'strict');
}

/* A rule lists the name; what it leads to may be refused all the same, as private or denied addresses are. */
async function checkListed(inForce: InForce, target: Target, name: string, because: string): Promise<Answer> {
  const refused: string[] = [];
  const addresses = await lookUp(inForce, name);
  for (const addr of addresses) {
    const answer = checkAddress(inForce, target, addr);
    if (answer.verdict === 'deny') refused.push(`${formatAddress(addr)} is refused: ${answer.because}`);
  }
  if (refused.length === 0) return { verdict: 'allow', because };
  const verdict = refused.length === addresses.length ? 'deny' : 'allow';
  return { verdict, because: `${because}, but ${refused.join('; ')}` };
}

/* No rule lists the name, but one may list where it leads to, or a name whose CNAME it is. */
async function checkUnlisted(
  inForce: InForce,
  target: Target,
  name: string,
  isStrict: boolean,
): Promise<Answer> {
  const answers = (await lookUp(inForce, name)).map((addr) => ({
    addr,
    ...checkAddress(inForce, target, addr),
  }));
  const refused = answers.find(({ verdict }) => verdict === 'deny');
  const [passed] = answers;
  if (passed && !refused) return { verdict: 'allow', because: `${passed.because}, where ${name} leads to` };
  const where = refused ? `, and ${formatAddress(refused.addr)} is refused: ${refused.because}` : '';
  const lookup = isStrict ? ', and -dns=strict refuses its lookup' : where;
  return { verdict: 'deny', because: `no rule lists ${name}${lookup}` };
}

async function lookUp({ record }: InForce, name: string): Promise<Uint8Array[]> {
  using asker = new Asker();
  const [first] = record.resolvers;
  if (first === undefined) return [];
  const answers = await Promise.all(
    [RecordType.a, RecordType.aaaa].map((qtype) => asker.ask(parseResolver(first), name, qtype)),
  );
  return answers.flatMap((answer) =>
    answer?.status === 'learned' ? answer.addresses.map(({ addr }) => addr) : [],
  );
}

/* The rules that an answer opened the address to. */
function liveLeases(
  { state, policyId, rules }: InForce,
  addr16: Uint8Array,
): { readonly rule: Rule; readonly seconds: number }[] {
  const now = Number(bootTimeNs() / 1_000_000_000n);
  const leases = findLearned(state, encodeStruct('host_key', { addr: addr16, policy: policyId }));
  return leases.flatMap(({ ruleId, endsAt }) => {
    const rule = rules.get(ruleId);
    return rule && endsAt > now ? [{ rule, seconds: endsAt - now }] : [];
  });
}

function checkAddress(inForce: InForce, target: Target, addr16: Uint8Array): Answer {
  const { state, record, policyId, rules } = inForce;
  const address = formatAddress(addr16);
  if (isResolverPort(record, target, addr16)) {
    return { verdict: 'allow', because: `${address} is a trusted resolver, and this its DNS port` };
  }
  if (policyId === HOST_POLICY && isLocal(state, record, addr16)) {
    return { verdict: 'allow', because: `${address} is of this host: it leaves by no controlled interface` };
  }
  const covering = [...rules.values()].filter(({ who }) => holdsAddress(who, addr16));
  const denial = covering.find((rule) => rule.action === 'deny' && hasPort(rule, target));
  if (denial) return { verdict: 'deny', because: `${denial.source} denies ${address}` };
  const allowing = covering.find((rule) => letsPass(rule) && hasPort(rule, target));
  if (allowing) return { verdict: 'allow', because: `${allowing.source} contains ${address}` };
  const live = liveLeases(inForce, addr16);
  const lease = live.find(({ rule }) => hasPort(rule, target));
  if (lease) {
    return {
      verdict: 'allow',
      because: `${lease.rule.source} leases ${address} for ${lease.seconds} s more`,
    };
  }
  const [other] = [...covering.filter(letsPass), ...live.map(({ rule }) => rule)];
  if (other)
    return { verdict: 'deny', because: `${other.source} holds ${address}, but not ${portText(target)}` };
  return { verdict: 'deny', because: `no rule holds ${address}` };
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

/* Without a port any port is asked for: one that passes is enough. */
function hasPort(rule: Rule, { port, l4Proto }: Target): boolean {
  return port === undefined || matchesPort(rule.ports, l4Proto, port);
}
