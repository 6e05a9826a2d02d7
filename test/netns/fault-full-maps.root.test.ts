/*
 * Every map of the kernel full, and its ring: new things fail closed, live flows are kept, it is counted and said, and
 * when there is room again all works. The lab is that of robust-lab.ts, the traffic that of invariants.ts.
 */
import assert from 'node:assert/strict';
import { after, before, describe, type TestContext, test } from 'node:test';
import { Pins } from '../../src/datapath/pins.ts';
import type { StateMapName } from '../../src/datapath/state.ts';
import { BpfMap } from '../../src/libbpf/map.ts';
import { digShort } from '../lab/clients.ts';
import type { Namespace } from '../lab/namespace.ts';
import { startTcpEcho } from '../lab/servers.ts';
import { HOST, type Lab, RESOLVERS } from '../lab/topology.ts';
import { until } from '../lab/wait.ts';
import type { RunningEnforcer } from './enforcer.ts';
import {
  ANY_NAME,
  assertNothingLeft,
  assertTruthful,
  ECHO,
  isReached,
  type Judged,
  noteKernel,
  type Prober,
  startAnyName,
  startProber,
} from './invariants.ts';
import { openEchoFlow } from './learning-flow.ts';
import {
  BLOCKED,
  chains,
  createRobustLab,
  FLAGS,
  l7egg,
  newInstance,
  startFor,
  startScript,
} from './robust-lab.ts';

const LIMIT_MS = 15_000;
/** Of what is full: of an LRU map more than all. */
const FILL = 1.25;
/** More than the ring holds. */
const FLOOD = 30_000;
/** More than the table of own addresses holds. */
const ADDRESSES = 4_200;

/** Old entries give way in these. In the second ones they are what a lookup on its way needs. */
const LRU: readonly StateMapName[] = [
  'flows',
  'inbound',
  'inbound_new',
  'observed_queries',
  'fragments',
  'series',
  'procs',
  'programs',
  'cgroup_paths',
  'dhcp_servers',
];
const LRU_OF_LOOKUPS: readonly StateMapName[] = ['pending_queries', 'dns_streams', 'aliases'];

let lab: Lab;
let host: Namespace;
let asked = 0;

before(async () => {
  lab = await createRobustLab();
  host = lab.host;
  await Promise.all([startAnyName(lab), startTcpEcho(host)]);
});
after(() => lab.close());

interface Running {
  readonly enforcer: RunningEnforcer;
  readonly prober: Prober;
  readonly judged: Judged;
}

/** An enforcer with traffic that has to go on all the time. */
async function startWithTraffic(context: TestContext): Promise<Running> {
  const instance = newInstance();
  const resolvers = `-resolver=${RESOLVERS[0].v4},${ANY_NAME.v4}`;
  const enforcer = await startFor(context, host, [...FLAGS, `-cidr=${ECHO}`, resolvers], { instance });
  const prober = await startProber(host, { nonce: instance });
  await prober.strict();
  return { enforcer, prober, judged: { host, instance, place: host, hooks: await chains(host) } };
}

/** All works; ends the traffic, stops, and nothing is left. */
async function assertWell({ enforcer, prober, judged }: Running, context: TestContext): Promise<void> {
  await assertTruthful(judged, 'at the end');
  const report = await prober.finish(10);
  const noted = noteKernel(judged.instance);
  await enforcer.stop();
  await assertNothingLeft(judged, noted, 'after stop');
  context.diagnostic(`full: ${JSON.stringify(report)}`);
}

/** Enters entries that mean nothing: keys of a policy that nobody has. Throws SystemError E2BIG when it is full. */
async function fill(instance: string, name: StateMapName, share = FILL): Promise<void> {
  using map = open(instance, name);
  const { keyBytes, valueBytes, maxEntries } = map.info;
  const count = Math.ceil(share * maxEntries);
  const keys = Buffer.alloc(count * keyBytes, 0xee);
  for (let i = 0; i < count; i++) keys.writeUInt32LE(i, i * keyBytes);
  await map.updateBatch(keys, Buffer.alloc(count * valueBytes), count);
}

/** Takes them away again. */
function empty(instance: string, name: StateMapName): void {
  using map = open(instance, name);
  for (const [key] of map.entries()) if (key.subarray(4).every((byte) => byte === 0xee)) map.delete(key);
}

function open(instance: string, name: StateMapName): BpfMap {
  const map = BpfMap.openPinned(new Pins(instance).map(name));
  if (map === undefined) throw new Error(`Cannot open the pin of "${name}": it is not there`);
  return map;
}

/** The address of a name that nobody asked for before. */
function freshAddress(): string {
  asked += 1;
  const [address = ''] = digShort(host, ANY_NAME.v4, ['AAAA', `full-${900_000 + asked}.fresh.ok.example`]);
  return `[${address}]`;
}

describe('tables in which old entries give way, all full of strange ones', () => {
  test(`${LRU.join(', ')}: nobody notices`, async (context) => {
    const running = await startWithTraffic(context);
    using inbound = await openEchoFlow(lab.web, `TCP4:${HOST.v4}:7`);
    await inbound.echo('before');
    for (const name of LRU) {
      await fill(running.judged.instance, name);
      await inbound.echo(name);
    }
    await assertTruthful(running.judged, 'full');
    await assertWell(running, context);
  });

  test(`${LRU_OF_LOOKUPS.join(', ')}: lookups on their way may be lost, and nothing else`, async (context) => {
    const running = await startWithTraffic(context);
    using named = await openEchoFlow(host, `TCP6:${freshAddress()}:7`);
    await named.echo('before');
    await running.prober.free();
    for (const name of LRU_OF_LOOKUPS) {
      await fill(running.judged.instance, name);
      await named.echo(name);
      assert.equal(await isReached(host, BLOCKED), false, name);
    }
    await running.prober.strict();
    assert.equal(await isReached(host, freshAddress()), true);
    await assertWell(running, context);
  });
});

test('learned addresses full: a new one is refused, which is counted; leased ones and flows live; then it is learned', async (context) => {
  const running = await startWithTraffic(context);
  const { instance } = running.judged;
  const leased = freshAddress();
  using named = await openEchoFlow(host, `TCP6:${leased}:7`);
  await running.prober.free();
  await assert.rejects(fill(instance, 'learned'), { code: 'E2BIG' });
  const unlearned = freshAddress();
  assert.equal(await isReached(host, unlearned), false, 'fails closed');
  assert.equal(await isReached(host, leased), true);
  assert.equal(await isReached(host, BLOCKED), false);
  await named.echo('full');
  const { losses } = await assertTruthful(running.judged, 'full');
  assert.ok((losses?.mapFull ?? 0) >= 1, JSON.stringify(losses));
  empty(instance, 'learned');
  assert.equal(await isReached(host, leased), true);
  assert.equal(await isReached(host, freshAddress()), true, 'learned again');
  await running.prober.strict();
  await assertWell(running, context);
});

test('the ring full while the process stands still: verdicts and learning go on, the loss is counted and told', async (context) => {
  const running = await startWithTraffic(context);
  const { enforcer, judged } = running;
  enforcer.process.kill('SIGSTOP');
  const flood = startScript(host, 'robust-flood', BLOCKED, '0', `${FLOOD}`);
  await flood.waitForLine(/^failed 0$/u, LIMIT_MS);
  assert.equal(await isReached(host, freshAddress()), true, 'learned with a full ring');
  const { losses } = await assertTruthful(judged, 'full');
  assert.ok((losses?.ringFull ?? 0) >= 1, JSON.stringify(losses));
  enforcer.process.kill('SIGCONT');
  await enforcer.waitForEvent(({ action }) => action === 'events-lost', LIMIT_MS);
  await assertWell(running, context);
});

test(`${ADDRESSES} own addresses, more than the table holds: said, all works, and so it does when they go`, async (context) => {
  const running = await startWithTraffic(context);
  const { enforcer } = running;
  host.must('ip', ['link', 'add', 'many0', 'type', 'bridge']);
  context.after(() => host.run('ip', ['link', 'del', 'many0']));
  const lines = Array.from(
    { length: ADDRESSES },
    (_, i) => `addr add 10.${i >> 16}.${(i >> 8) & 255}.${i & 255}/32 dev many0`,
  );
  host.must('ip', ['-batch', '-'], { input: `${lines.join('\n')}\n` });
  await enforcer.process.waitForLine(/not all own addresses are known/u, LIMIT_MS);
  await assertTruthful(running.judged, 'full');
  host.must('ip', ['link', 'del', 'many0']);
  await until(() => countOf(running.judged.instance, 'own_addresses') < 100, {
    limitMs: LIMIT_MS,
    what: 'own addresses to be forgotten',
  });
  assert.equal((await l7egg(host, 'reload', `-instance=${running.judged.instance}`)).code, 0);
  await assertWell(running, context);
});

function countOf(instance: string, name: StateMapName): number {
  using map = open(instance, name);
  return map.count(LIMIT_MS) ?? Number.NaN;
}
