import { existsSync } from 'node:fs';
import { networkInterfaces } from 'node:os';
import { fileURLToPath } from 'node:url';
import { attachKind } from '../datapath/attach.ts';
import { compilePolicies, HOST_POLICY, type RuleIds, ruleKey } from '../datapath/compile.ts';
import { fillSlot } from '../datapath/fill-slot.ts';
import { type OwnAddress, setOwnAddresses, setTrusted } from '../datapath/host-facts.ts';
import { kernelTypes } from '../datapath/kernel-types.ts';
import { findLearned } from '../datapath/learned.ts';
import { readShares, sharesOf } from '../datapath/lease-shares.ts';
import { Pins } from '../datapath/pins.ts';
import {
  activeEpoch,
  addRuleStates,
  FIRST_SLOT,
  idleSlot,
  nextEpoch,
  switchSlot,
} from '../datapath/policy-slot.ts';
import {
  createPolicyMaps,
  type DatapathState,
  FIRST_RULE_ID,
  initControl,
  loadState,
  nextRuleId,
  ONLY,
  openPinnedMaps,
  pinState,
} from '../datapath/state.ts';
import { encodeStruct, writeStruct } from '../datapath/struct.ts';
import { SUBJECT_PROGRAMS } from '../datapath/subject-hooks.ts';
import { isLoopback, parseAddress, type Resolver } from '../dns/resolver.ts';
import { TakenError } from '../errors.ts';
import { bootTimeNs } from '../libbpf/clock.ts';
import { readInterface } from '../libbpf/ifindex.ts';
import { netnsCookie } from '../libbpf/setns.ts';
import { listLinks } from '../netlink/links.ts';
import type { Rule } from '../policy/rule.ts';
import { Scope } from '../scope.ts';
import { canAdopt } from './adopt.ts';
import { provideBpffs } from './bpffs.ts';
import { findPlace, placeOfSubject } from './cgroup-place.ts';
import { Enforcer, type InForce } from './enforcer.ts';
import { attachAll, dropOthers, findPresent, type HookContext, programsFor } from './hooks.ts';
import {
  findDefaultInterface,
  isWayOut,
  type Present,
  planInterfaces,
  recordInterfaces,
  type Served,
} from './interfaces.ts';
import { refuseLockout } from './lockout.ts';
import { netnsInode } from './netns.ts';
import type { EnforceOptions, Listener } from './options.ts';
import { recordPolicies } from './policies-in-force.ts';
import { attachProcessHooks, PROCESS_PROGRAMS } from './process-hooks.ts';
import { randomBits } from './random.ts';
import { dnsPorts, findResolvers, formatResolver } from './resolvers.ts';
import { lockStart, RunDir } from './run-dir.ts';
import { seedInbound, seedSubjects } from './seed.ts';
import { removeClasses, Shaper, shapedInterfaces } from './shaper.ts';
import {
  attachSubjects,
  knownSubjects,
  numberSubjects,
  placeSubjects,
  recordedContainers,
} from './subjects.ts';
import { takeDown } from './takedown.ts';
import { Trust } from './trust.ts';

/** The BPF object lies beside the bundle. */
const OBJECT_PATH = fileURLToPath(new URL('l7egg.bpf.o', import.meta.url));

/**
 * Puts the policy in force and answers the running enforcer. Where pins of this instance are in force it
 * adopts them with no gap. When it throws, nothing has been put in force, and what was in force stays:
 * UsageError, TakenError, UnsupportedError, LockoutError, SystemError.
 */
export async function startEnforcer(
  options: EnforceOptions,
  listener: Listener,
  objectPath: string = OBJECT_PATH,
): Promise<Enforcer> {
  using scope = new Scope();
  // Looked up in a thread, while this one reads the host; who waits for it gets its error.
  kernelTypes().catch(() => {});
  const netns = netnsInode();
  const { resolvers, remarks } = findResolvers(options.resolvers);
  for (const remark of remarks) listener.remark(remark, 'warning');
  if (resolvers.length === 0) {
    listener.remark('no resolver is known, so no name can be learned: give one with -resolver', 'warning');
  }
  const { plan, isEveryWay } = planHost(options, resolvers);
  provideBpffs();
  using _starting = await lockStart();
  const found = findPresent(plan, options.instance, netns, options.wait);
  const run = new RunDir(options.instance);
  const isFirst = !existsSync(run.path);
  const lock = run.lock();
  if (!lock) {
    throw new TakenError(
      `instance "${options.instance}" is running as process ${run.runningPid() ?? 'unknown'}: stop it first, or give this one another name with -instance`,
    );
  }
  scope.use(lock);
  try {
    using parts = new Scope(); // closed before its files are removed, which takes descriptors
    const inForce = await putInForce(
      { options, listener, run, netns, resolvers, plan, isEveryWay, ...found },
      parts,
      objectPath,
    );
    scope.use(parts.move());
    return new Enforcer(inForce, scope.move());
  } catch (thrown) {
    // To remove a directory takes a descriptor, the want of which may be what we are told here. Others that start
    // wait for us still.
    await kernelTypes().catch(() => {});
    scope.close();
    if (isFirst) run.remove();
    throw thrown;
  }
}

/* Interfaces are served where the host is a subject. */
function planHost(
  { policies, learning, enforced }: EnforceOptions,
  resolvers: readonly Resolver[],
): { plan: Served[]; isEveryWay: boolean } {
  if (!policies.some(({ subject }) => subject.kind === 'host')) return { plan: [], isEveryWay: false };
  const { ways, isEveryWay } = namedWays(enforced);
  const learns = learning.length > 0 ? learning : [findDefaultInterface('iface')];
  return { plan: planInterfaces(learns, ways, resolvers.some(isLoopback)), isEveryWay };
}

/** What is known before the first change. */
interface Prepared {
  readonly options: EnforceOptions;
  readonly listener: Listener;
  readonly run: RunDir;
  readonly netns: number;
  readonly resolvers: readonly Resolver[];
  readonly plan: readonly Served[];
  readonly present: readonly Present[];
  readonly absent: readonly Served[];
  readonly isEveryWay: boolean;
}

async function putInForce(prepared: Prepared, scope: Scope, objectPath: string): Promise<InForce> {
  const { options, listener, run, netns, resolvers, plan, present, absent, isEveryWay } = prepared;
  const pins = new Pins(options.instance);
  const cookie = netnsCookie();
  const adopts = canAdopt(pins, cookie, run.readRecord());
  // At boot resolv.conf may not yet say that the resolver is a stub on this host.
  const mayLearnOnLoopback = plan.length > 0 && options.wait && options.resolvers.length === 0;
  const later = mayLearnOnLoopback ? [{ name: 'lo', learns: true, enforces: false }] : [];
  const programs = [
    ...programsFor(present, [...absent, ...later], isEveryWay),
    ...(plan.length > 0 ? PROCESS_PROGRAMS : []),
    ...(options.policies.some(({ subject }) => subject.kind !== 'host') ? SUBJECT_PROGRAMS : []),
  ];
  const kept = scope.use(adopts ? openPinnedMaps(pins) : createPolicyMaps());
  const record = adopts ? run.settleRecord(activeEpoch(kept)) : undefined;
  const { numbered, nextPolicyId } = numberSubjects(
    options.policies,
    knownSubjects(
      record?.policies ?? [],
      (record?.cgroups ?? []).map(({ policyId, id }) => ({ policyId, id: BigInt(id) })),
      options.policies,
    ),
    record?.nextPolicyId,
  );
  const placed = [
    ...placeSubjects(numbered, cookie, options.wait ? findPlace : placeOfSubject),
    ...recordedContainers(numbered, record?.cgroups ?? []),
  ];
  const ids: RuleIds = {
    known: new Map(record?.rules.map(({ policyId, canonical, id }) => [ruleKey(policyId, canonical), id])),
    next: adopts ? nextRuleId(kept) : FIRST_RULE_ID,
    shares: readShares(record?.rules ?? []),
  };
  const { compiled, rules } = compilePolicies(numbered, ids, dnsPorts(resolvers));
  const policies = { subjects: numbered, nextPolicyId, placed, rules, shares: sharesOf(compiled.rules) };
  // The programs are verified in a thread, while this one fills a slot that no program reads yet.
  const [state] = await together(
    loadState(objectPath, programs, kept).then((loaded) => scope.use(loaded)),
    fillSlot(kept, adopts ? idleSlot(kept) : FIRST_SLOT, compiled),
  );
  kept.close();
  if (!adopts) initControl(state, cookie, randomBits());
  const host = numbered.find(({ subject }) => subject.kind === 'host');
  if (!options.force && host) {
    const byId = new Map(rules.map(({ id, rule }) => [id, rule]));
    await refuseLockout(host.policy, resolvers, (addr) => leasedRules(state, byId, addr));
  }

  const trust = new Trust(resolvers);
  const shaper = new Shaper(record?.classes ?? [], options.force);
  const kind = attachKind();
  const context: HookContext = { state, pins, run, netns, kind };
  try {
    if (!adopts) {
      pins.create();
      pinState(state, pins);
    }
    run.writePid();
    shaper.apply(numbered, shapedInterfaces(options, present), placed);
    run.prepareRecord({
      version: 2,
      instance: options.instance,
      epoch: nextEpoch(state),
      pid: process.pid,
      startedAt: new Date().toISOString(),
      netns: { inode: netns, cookie: cookie.toString() },
      attach: kind,
      interfaces: recordInterfaces(plan, present),
      ...recordPolicies(policies),
      classes: shaper.classes,
      resolvers: resolvers.map(formatResolver),
      ...(options.ownCgroup !== undefined && { ownCgroup: options.ownCgroup }),
    });
    setTrusted(state, trust.by(numbered.map(({ policyId }) => policyId)));
    setOwnAddresses(state, ownAddresses());
    await addRuleStates(state, compiled.rules);
    switchSlot(state, compiled);
    run.commitRecord();
    if (plan.length > 0) attachProcessHooks(state, pins, listener);
    await attachAll(context, present, async () => {
      if (plan.length > 0) seedInbound(state, bootTimeNs());
      seedSubjects(state, numbered, bootTimeNs());
      attachSubjects(
        { state, pins },
        placed,
        (policyId) => shaper.priorityOf(policyId),
        (text) => listener.remark(text, 'warning'),
      );
      markReady(state);
    });
    dropOthers(context, present);
  } catch (thrown) {
    if (!adopts) {
      removeClasses(shaper.classes);
      takeDown(options.instance);
    }
    throw thrown;
  }
  return {
    options,
    listener,
    context,
    policies,
    shaper,
    trust,
    objectPath,
    resolvers,
    plan,
    present,
    isEveryWay,
    mayLearnOnLoopback,
    adopts,
  };
}

function leasedRules(state: DatapathState, byId: ReadonlyMap<number, Rule>, addr: Uint8Array): Rule[] {
  const now = Number(bootTimeNs() / 1_000_000_000n);
  const leases = findLearned(state, encodeStruct('host_key', { addr, policy: HOST_POLICY }));
  return leases.flatMap(({ ruleId, endsAt }) => (endsAt > now ? (byId.get(ruleId) ?? []) : []));
}

/* The interfaces to control by name; `*` stands for every way out, of now and later. */
function namedWays(enforced: readonly string[]): { ways: string[]; isEveryWay: boolean } {
  if (enforced.length === 0) return { ways: [findDefaultInterface('eface')], isEveryWay: false };
  if (!enforced.includes('*')) return { ways: [...enforced], isEveryWay: false };
  const ways = listLinks()
    .filter(isWayOut)
    .map(({ name }) => name);
  return { ways: [...enforced.filter((name) => name !== '*'), ...ways], isEveryWay: true };
}

/* Both have ended when it does, also where one fails: threads use what the caller would close. */
async function together<A, B>(a: Promise<A>, b: Promise<B>): Promise<[A, B]> {
  await Promise.allSettled([a, b]);
  return Promise.all([a, b]);
}

function markReady(state: DatapathState): void {
  const control = state.map('control').get(ONLY);
  if (!control) throw new RangeError('no control entry');
  writeStruct(control, 0, 'control', { ready: 1 });
  state.map('control').set(ONLY, control);
}

/** The addresses of the host, from the C library: no netlink library has to be loaded before the verdict. */
function ownAddresses(): OwnAddress[] {
  return Object.entries(networkInterfaces()).flatMap(([name, addresses]) => {
    const ifindex = readInterface(name)?.ifindex;
    return (addresses ?? []).flatMap(({ address, cidr }) => {
      const parsed = parseAddress(address.replace(/%.*$/u, ''), 0);
      const prefixLength = Number(cidr?.split('/')[1]);
      return parsed && ifindex !== undefined ? [{ ifindex, address: parsed.addr16, prefixLength }] : [];
    });
  });
}
