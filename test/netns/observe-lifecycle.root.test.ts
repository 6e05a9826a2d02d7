/*
 * What is told of policies and of the enforcer itself, in one row of numbers with all else; and of a command under
 * `run`. The lab is that of observe-lab.ts, of `run` that of run-lab.ts.
 */
import assert from 'node:assert/strict';
import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { controlPath } from '../../src/enforcer/control-path.ts';
import { curl } from '../lab/clients.ts';
import type { Namespace } from '../lab/namespace.ts';
import { ip, type Lab } from '../lab/topology.ts';
import { until } from '../lab/wait.ts';
import type { LoggedEvent } from './enforcer.ts';
import { createObserveLab, type Follower, follow, REFUSED, startFollower } from './observe-lab.ts';
import { killNow, newInstance, startFor } from './robust-lab.ts';
import { createRunLab, NO, OK, type RunLab } from './run-lab.ts';

const SOON = { limitMs: 10_000, what: 'an event' };
const POLICY = 'apiVersion: l7egg/v1\nkind: EgressPolicy\nname: web\nrules:\n';

/** Resolves with the first event of an action that is told at or after `since`. */
function told(follower: Follower, action: string, since = 0): Promise<LoggedEvent> {
  return until(() => follower.events.slice(since).find((event) => event.action === action), {
    ...SOON,
    what: action,
  });
}

function hasNoGap(follower: Follower): void {
  const seqs = follower.events.map(({ seq }) => seq);
  assert.deepEqual(
    seqs,
    seqs.map((_, index) => index + 1),
  );
  assert.ok(follower.events.every(({ lost }) => lost === 0));
}

describe('an enforcer tells of', () => {
  let lab: Lab;
  let host: Namespace;
  before(async () => {
    lab = await createObserveLab();
    host = lab.host;
  });
  after(() => lab.close());

  test('its start, interfaces, resolvers, reloads and its end, all in one row', async (context) => {
    const policy = join(host.directory, 'observed.yaml');
    const write = (rules: string) => writeFileSync(policy, `${POLICY}${rules}`);
    write('  - {name: site, names: [www.listed.example]}\n');
    ip(host, ['link add dum0 type veth peer name dum1', 'link set dum0 up']);
    const enforcer = await startFor(context, host, ['-iface=eth0', '-eface=eth0,dum0', `-policy=${policy}`]);
    const follower = startFollower(host, enforcer, '-since=1h');

    const inForce = await told(follower, 'in-force');
    assert.deepEqual([inForce.seq, inForce.kind, inForce.message], [1, 'policy', '1 rule for host (web)']);
    assert.deepEqual(inForce.lines, []);
    const enforcing = await told(follower, 'enforcing');
    assert.match(enforcing.message ?? '', /^enforcing on eth0, dum0; learning on eth0 from 192\.0\.2\.53$/u);

    ip(host, ['link del dum0']);
    const detached = await told(follower, 'detached');
    assert.equal(detached.iface, 'dum0');
    assert.match(detached.message ?? '', /"dum0" is gone/u);
    await curl(host, `http://${REFUSED}/`);
    ip(host, ['link add dum0 type veth peer name dum1', 'link set dum0 up']);
    const attached = await told(follower, 'attached');
    assert.deepEqual([attached.iface, attached.message], ['dum0', 'interface "dum0" is there: attached']);

    write('  - {name: site, names: [www.listed.example, api.listed.example]}\n');
    const reloaded = await told(follower, 'reloaded');
    assert.equal(reloaded.kind, 'policy');
    assert.match(reloaded.lines?.join('\n') ?? '', /api\.listed\.example/u);
    host.useResolvConf('nameserver 192.0.2.54\n');
    enforcer.process.kill('SIGHUP');
    const changed = await told(follower, 'resolvers-changed');
    assert.equal(changed.message, 'trusted resolvers changed from 192.0.2.53 to 192.0.2.54');
    host.useResolvConf('nameserver 192.0.2.53\n');
    const unchanged = await told(follower, 'unchanged');
    assert.deepEqual(unchanged.lines, []);
    write('  - {name: site, names: [a..b]}\n');
    const failed = await told(follower, 'reload-failed');
    assert.match(failed.lines?.join('\n') ?? '', /observed\.yaml:\d+:\d+: .*"a\.\.b"/u);
    await curl(host, `http://${REFUSED}:81/`);

    await enforcer.stop();
    assert.deepEqual(await follower.process.exited, { code: 0, signal: null });
    const stopping = follower.events.at(-1);
    assert.deepEqual(
      [stopping?.kind, stopping?.action, stopping?.message],
      ['lifecycle', 'stopping', 'nothing is enforced any more'],
    );
    hasNoGap(follower);
    assert.deepEqual(follower.events, enforcer.events());
    const kinds = new Set(follower.events.map(({ kind }) => kind));
    assert.deepEqual([...kinds].sort(), ['flow', 'lifecycle', 'policy']);
  });

  test('what it took over, and that it leaves', async (context) => {
    const flags = ['-iface=eth0', '-eface=eth0', '-cidr=192.0.2.0/24'];
    const first = await startFor(context, host, flags);
    await killNow(first);
    const enforcer = await startFor(context, host, flags, { instance: first.instance });
    const follower = startFollower(host, enforcer, '-since=1h');
    await told(follower, 'enforcing');
    enforcer.process.kill('SIGUSR2');
    assert.deepEqual(await follower.process.exited, { code: 0, signal: null });
    hasNoGap(follower);
    const actions = follower.events.flatMap(({ action }) => action ?? []);
    assert.deepEqual(actions, ['adopted', 'in-force', 'enforcing', 'left-in-force']);
  });

  test('no more lines than an event should have', async (context) => {
    const policy = join(host.directory, 'long.yaml');
    const write = (names: readonly string[]) =>
      writeFileSync(policy, `${POLICY}${names.map((name) => `  - {names: [${name}]}\n`).join('')}`);
    write(['one.listed.example']);
    const enforcer = await startFor(context, host, ['-iface=eth0', '-eface=eth0', `-policy=${policy}`]);
    const follower = await follow(host, enforcer);
    write(Array.from({ length: 300 }, (_, index) => `n${index}.listed.example`));
    const { lines = [] } = await told(follower, 'reloaded');
    assert.equal(lines.length, 101);
    assert.match(lines.at(-1) ?? '', /^… and \d+ lines more$/u);
  });
});

describe('observe of run', () => {
  let lab: RunLab;
  before(async () => {
    lab = await createRunLab();
  });
  after(() => lab.close());

  test('tells of its command while that runs, and ends with it', async () => {
    const instance = newInstance();
    const script = `curl -s -4 http://${OK}/; curl -s -4 http://${NO}/; read -r _ <"$0"; exit 7`;
    const gate = join(lab.base.host.directory, `gate-${instance}`);
    lab.base.host.must('mkfifo', [gate]);
    const { process } = lab.start([`-name=${OK}`], ['bash', '-c', script, gate], instance);
    await until(() => existsSync(controlPath(instance)), SOON);
    const follower = startFollower(lab.base.host, { instance }, '-since=1h');
    const denied = await until(() => follower.events.find(({ qname }) => qname === NO), SOON);
    assert.deepEqual([denied.verdict, denied.reason], ['deny', 'dns-strict']);
    const allowed = follower.events.find(({ kind, verdict }) => kind === 'flow' && verdict === 'allow');
    assert.deepEqual([allowed?.names, allowed?.comm, allowed?.dport], [[OK], 'curl', 80]);
    lab.base.host.must('sh', ['-c', 'echo >"$0"', gate]);
    assert.deepEqual(await process.exited, { code: 7, signal: null });
    assert.deepEqual(await follower.process.exited, { code: 0, signal: null });
    assert.equal(follower.events.at(-1)?.action, 'stopping');
    assert.deepEqual(follower.said, [`instance "${instance}": the enforcer has ended`]);
    hasNoGap(follower);
    lab.hasLeftNothing(instance);
  });
});
