import { HOST_POLICY } from '../datapath/compile.ts';
import { Pins } from '../datapath/pins.ts';
import { activeEpoch } from '../datapath/policy-slot.ts';
import { openPinnedMaps } from '../datapath/state.ts';
import { RecordType } from '../dns/record-type.ts';
import { parseResolver } from '../dns/resolver.ts';
import { UsageError } from '../errors.ts';
import { formatAddress } from '../flow/address.ts';
import { type Decision, decide, underAudit } from '../policy/decide.ts';
import { describeRule } from '../policy/describe.ts';
import { mayLookUp } from '../policy/may-look-up.ts';
import { hasPort, openRules } from '../policy/open-rules.ts';
import { letsPass, parseCanonicalRule, type Rule } from '../policy/rule.ts';
import { type Subject, subjectText } from '../policy/subject.ts';
import { portText, type Target } from '../policy/target.ts';
import { holdsName } from '../policy/who.ts';
import { anyOf } from '../wording.ts';
import { Asker } from './asker.ts';
import { requirePins } from './bpffs.ts';
import { type Answer, checkAddress, type InForce, liveLeases } from './check-address.ts';
import { type InstanceRecord, type RecordedPolicy, RunDir } from './run-dir.ts';
import { isEnforcing } from './status-hooks.ts';

/**
 * Whether a connection would pass what is in force; undefined when nothing is. A name is looked up, as the
 * program would do: its answer teaches the host, and its addresses are judged by the leases; to another subject it
 * teaches nothing, and what its own lookup would teach is counted. Throws SystemError.
 */
export async function checkTarget(
  instance: string,
  target: Target,
  subject?: Subject,
): Promise<Decision | undefined> {
  requirePins();
  const pins = new Pins(instance);
  if (!isEnforcing(pins)) return undefined;
  using state = openPinnedMaps(pins);
  const record = new RunDir(instance).readRecord(activeEpoch(state));
  if (!record) return undefined;
  const policy = choosePolicy(record, subject);
  const { policyId, dns, audit } = policy;
  const rules = new Map(
    record.rules
      .filter((each) => each.policyId === policyId)
      .map(({ id, canonical, source }): [number, Rule] => [id, parseCanonicalRule(canonical, source)]),
  );
  const inForce = { state, record, policy, rules };
  const { host } = target;
  const answer =
    host.kind === 'address'
      ? checkAddress(inForce, target, host.addr16)
      : await checkName(inForce, target, host.name);
  const written = { rules: [...rules.values()], dns, audit, allowPrivateAnswers: false };
  const { considered } = decide({ ...written, inbound: 'all' }, target);
  const leases = host.kind === 'address' ? liveLeases(inForce, host.addr16) : [];
  const leasing = leases.map(({ rule, seconds }) => {
    const says = hasPort(rule, dns, target) ? 'applies' : `not ${portText(target)}`;
    return `${describeRule(rule)} (${rule.source}), by a lease for ${seconds} s more: ${says}`;
  });
  return { ...underAudit(audit, answer), considered: [...considered, ...leasing] };
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
  const { dns, policyId } = inForce.policy;
  const rules = [...inForce.rules.values()];
  const listing = rules.filter(({ who }) => holdsName(who, name));
  const denial = listing.find(({ action }) => action === 'deny');
  if (denial) return { verdict: 'deny', because: `${denial.source}: lookups of ${name} are refused` };
  if (!mayLookUp({ rules, dns }, name))
    return { verdict: 'deny', because: `no rule lists ${name}, and -dns=strict refuses its lookup` };
  const listed = listing.filter(letsPass);
  const learning = policyId === HOST_POLICY ? [] : listed;
  const led = (await lookUp(inForce, name)).map((addr) => ({
    addr,
    ...checkAddress(inForce, target, addr, learning),
  }));
  const [allowing] = openRules(listed, dns, target);
  if (allowing) return settleListed(led, `${allowing.source} lists ${name}`);
  const [other] = listed;
  const unlisted = other
    ? `${other.source} lists ${name}, but not ${portText(target)}`
    : `no rule lists ${name}`;
  return settleUnlisted(led, name, unlisted);
}

/** What is said of an address that a name leads to. */
type Led = Answer & { readonly addr: Uint8Array };

/* A rule lists the name; what it leads to may be refused all the same, as private or denied addresses are. */
function settleListed(led: readonly Led[], because: string): Answer {
  const refused = led.filter(({ verdict }) => verdict === 'deny').map(describeRefused);
  if (refused.length === 0) return { verdict: 'allow', because };
  const verdict = refused.length === led.length ? 'deny' : 'allow';
  return { verdict, because: `${because}, but ${refused.join('; ')}` };
}

/* No rule lists the name for the port, but one may list where it leads to, or a name whose CNAME it is. */
function settleUnlisted(led: readonly Led[], name: string, because: string): Answer {
  const refused = led.find(({ verdict }) => verdict === 'deny');
  const [passed] = led;
  if (passed && !refused) return { verdict: 'allow', because: `${passed.because}, where ${name} leads to` };
  return { verdict: 'deny', because: `${because}${refused ? `, and ${describeRefused(refused)}` : ''}` };
}

function describeRefused({ addr, because }: Led): string {
  return `${formatAddress(addr)} is refused: ${because}`;
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
