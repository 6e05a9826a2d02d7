/*
 * What `status` says, as text and as JSON that its schema describes. The lab is that of robust-lab.ts.
 */
import assert from 'node:assert/strict';
import { existsSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { LIMITS } from '../../src/datapath/layout.ts';
import { RunDir } from '../../src/enforcer/run-dir.ts';
import { createCgroup } from '../lab/cgroup.ts';
import { findCli } from '../lab/checkout.ts';
import { curl, digShort } from '../lab/clients.ts';
import type { Namespace } from '../lab/namespace.ts';
import { type Lab, RESOLVERS } from '../lab/topology.ts';
import { until } from '../lab/wait.ts';
import { compileFixture } from '../libbpf/fixture.ts';
import {
  ALLOWED,
  ALLOWED_ADDRESS,
  BLOCKED,
  createRobustLab,
  isOpen,
  killNow,
  l7egg,
  newInstance,
  startFor,
  startScript,
} from './robust-lab.ts';
import { isStatus, statusJson } from './status-schema.ts';

const LIMIT_MS = 10_000;
const DENIED = 'denied.ok.example';
const HOOKS = ['socket', 'enter', 'send4', 'send6', 'end', 'call4', 'call6', 'leave'];

let lab: Lab;
let host: Namespace;

before(async () => {
  lab = await createRobustLab();
  host = lab.host;
});
after(() => lab.close());

function policyFile(text: string): string {
  const path = join(host.directory, `${newInstance()}.yaml`);
  writeFileSync(path, `apiVersion: l7egg/v1\nkind: EgressPolicy\n${text}`);
  return path;
}

async function statusText(instance: string): Promise<string> {
  const { stdout, stderr } = await l7egg(host, 'status', `-instance=${instance}`);
  assert.equal(stderr, '');
  return stdout;
}

describe('status on interfaces', () => {
  test('subjects, rules with hits, learned names, flows, sizes: as JSON', async (context) => {
    const file = policyFile('name: web\nrules: [{name: site, suffixes: [.ok.example], ports: [80/tcp]}]');
    const enforcer = await startFor(context, host, [
      '-iface=eth0',
      '-eface=eth0',
      `-policy=${file}`,
      '-cidr=192.0.2.0/28',
    ]);
    await isOpen(host, ALLOWED);
    await isOpen(host, BLOCKED);
    await enforcer.waitForEvent(({ dst, verdict }) => dst === BLOCKED && verdict === 'deny');
    const status = await statusJson(host, enforcer.instance);

    const [subject, ...others] = status.subjects;
    assert.deepEqual(others, []);
    assert.deepEqual(
      [subject?.subject, subject?.policies, subject?.files],
      ['host', ['flags', 'web'], [file]],
    );
    const [eth0] = status.interfaces;
    assert.equal(eth0?.attach, 'tcx');
    assert.deepEqual(
      [eth0?.order?.ingress, eth0?.order?.egress].map((chain) =>
        chain?.map(({ program, ours }) => [program, ours]),
      ),
      [[['l7egg_arrive', true]], [['l7egg_egress', true]]],
    );
    const [site] = status.rules.filter(({ rule }) => rule === 'site');
    assert.deepEqual([site?.policy, site?.allowed, site?.learned], ['web', 1, 1]);
    assert.equal(status.rules.find(({ rule }) => rule.startsWith('-cidr'))?.policy, 'flags');
    assert.equal(status.namesFrom, 'process');
    const [learned] = status.learned;
    assert.deepEqual([learned?.address, learned?.names], [ALLOWED_ADDRESS, [ALLOWED]]);
    const [lease] = learned?.leases ?? [];
    assert.deepEqual([lease?.rule, lease?.names], ['site', [ALLOWED]]);
    assert.ok(lease && lease.endsInSeconds > 60 && lease.endsInSeconds <= 90, JSON.stringify(lease));
    assert.equal(status.flows?.outbound.maxEntries, 262_144);
    assert.equal(status.losses?.ringFull, 0);
    assert.equal(status.counters.refused, 1);
    const sizes = new Map(status.maps.map((map) => [map.name, map]));
    assert.deepEqual(
      [sizes.get('flows')?.kind, sizes.get('rules')?.entries],
      ['lru-hash', status.rules.length],
    );
    const egress = status.programs.find(({ name }) => name === 'l7egg_egress');
    assert.ok(egress && egress.xlatedBytes > 10_000 && egress.jitedBytes > 10_000, JSON.stringify(egress));
    assert.ok(status.memoryBytes > 50e6 && status.memoryBytes < 300e6, `${status.memoryBytes}`);
    assert.equal(status.process?.pid, enforcer.process.pid);
    assert.ok((status.process?.readers ?? 0) >= 1);
    assert.equal(status.layout, LIMITS.LAYOUT_VERSION);
  });

  test('live flows are counted by protocol and direction, until they end', async (context) => {
    const enforcer = await startFor(context, host, ['-iface=eth0', '-eface=eth0', '-cidr=198.51.100.0/24']);
    const flows = async () => (await statusJson(host, enforcer.instance)).flows;
    const before = await flows();
    assert.deepEqual(before?.outbound.byProtocol, {});
    const held = host.spawn('python3', [
      '-c',
      `import socket,time
t = socket.create_connection(('${ALLOWED_ADDRESS}', 7)); u = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
u.sendto(b'x', ('${ALLOWED_ADDRESS}', 9)); print('held', flush=True); time.sleep(60)`,
    ]);
    await held.waitForLine(/^held$/u, LIMIT_MS);
    assert.deepEqual((await flows())?.outbound.byProtocol, { tcp: 1, udp: 1 });
    assert.match(
      await statusText(enforcer.instance),
      /outbound +2 live \(tcp 1, udp 1\) +2 of 262144 places/u,
    );
    await lab.web.runAsync('curl', ['-s', '-m2', 'http://192.0.2.2:9/']);
    assert.ok((await flows())?.inbound.byProtocol.tcp);
    held.kill('SIGKILL');
    await held.exited;
  });

  test('a rule that refuses lookups counts them', async (context) => {
    const flags = ['-iface=eth0', '-eface=eth0', '-cn=.example', `-deny-name=${DENIED}`];
    const enforcer = await startFor(context, host, flags);
    const refused = async () => {
      const { rules } = await statusJson(host, enforcer.instance);
      return rules.find(({ rule }) => rule === `-deny-name=${DENIED}`)?.refused;
    };
    assert.equal(await refused(), 0);
    digShort(host, RESOLVERS[0].v4, [DENIED, 'A']);
    assert.equal(await refused(), 1);
    digShort(host, RESOLVERS[0].v4, [ALLOWED, 'A']);
    assert.equal(await refused(), 1);
  });

  test('who stands before us is named, and is not ours', async (context) => {
    const enforcer = await startFor(context, host);
    const stranger = startScript(host, 'robust-stranger', compileFixture(), 'eth0', 'egress', 'tcx');
    await stranger.waitForLine(/^attached$/u, LIMIT_MS);
    const [eth0] = (await statusJson(host, enforcer.instance)).interfaces;
    assert.deepEqual(
      eth0?.order?.egress.map(({ kind, program, ours }) => [kind, program, ours]),
      [
        ['tcx', 'count', false],
        ['tcx', 'l7egg_egress', true],
      ],
    );
    const text = await statusText(enforcer.instance);
    assert.match(text, /^ +ingress +tcx 1 of 1$/mu);
    assert.match(text, /^ +egress +tcx 2 of 2, behind "count"$/mu);
    await stranger.stop();
  });

  test('on clsact filters, behind programs of tcx', async (context) => {
    const instance = newInstance();
    context.after(() => l7egg(host, 'clean', `-instance=${instance}`));
    const words = ['-iface=eth0', '-eface=eth0', '-cn=.ok.example', `-instance=${instance}`];
    const enforcer = host.spawn(findCli(), words, { env: { L7EGG_ATTACH: 'clsact' } });
    await enforcer.waitForLine(/^enforcing/u, LIMIT_MS);
    const stranger = startScript(host, 'robust-stranger', compileFixture(), 'eth0', 'ingress', 'tcx');
    await stranger.waitForLine(/^attached$/u, LIMIT_MS);
    const [eth0] = (await statusJson(host, instance)).interfaces;
    assert.equal(eth0?.attach, 'clsact');
    assert.deepEqual(
      eth0?.order?.ingress.map(({ kind, program, ours }) => [kind, program, ours]),
      [
        ['tcx', 'count', false],
        ['clsact', 'l7egg_arrive', true],
      ],
    );
    assert.match(await statusText(instance), /^ +egress +clsact 1 of 1$/mu);
    await stranger.stop();
  });

  test('a reload that failed is told, and one that did not', async (context) => {
    const file = policyFile('name: web\nrules: [{suffixes: [.ok.example]}]');
    const enforcer = await startFor(context, host, ['-iface=eth0', '-eface=eth0', `-policy=${file}`]);
    assert.equal((await statusJson(host, enforcer.instance)).reload, undefined);
    writeFileSync(file, 'apiVersion: l7egg/v1\nkind: EgressPolicy\nrules: 7\n');
    await l7egg(host, 'reload', `-instance=${enforcer.instance}`);
    const { reload } = await statusJson(host, enforcer.instance);
    assert.equal(reload?.ok, false);
    assert.ok(Math.abs(Date.now() - Date.parse(reload?.at ?? '')) < 60_000, reload?.at);
    assert.match(await statusText(enforcer.instance), /reload +FAILED .*: NOT reloaded.*\n.*\.yaml:3:8/u);
    writeFileSync(
      file,
      'apiVersion: l7egg/v1\nkind: EgressPolicy\nrules: [{suffixes: [.ok.example, .b.example]}]\n',
    );
    await l7egg(host, 'reload', `-instance=${enforcer.instance}`);
    assert.equal((await statusJson(host, enforcer.instance)).reload?.ok, true);
  });
});

test('status of cgroups: hooks of each, its own rules and leases', async (context) => {
  const cgroup = host.use(createCgroup(host, newInstance()));
  const enforcer = await startFor(context, host, [
    '-mode=cgroup',
    `-cgroup=${cgroup.path}`,
    `-resolver=${RESOLVERS[0].v4}`,
    '-cn=.ok.example',
  ]);
  assert.equal((await curl(cgroup, `http://${ALLOWED}/`)).exitCode, 0);
  await curl(cgroup, `http://${BLOCKED}/`);
  await enforcer.waitForEvent(({ dst, verdict }) => dst === BLOCKED && verdict === 'deny');
  const status = await statusJson(host, enforcer.instance);
  assert.deepEqual(status.interfaces, []);
  const [subject] = status.subjects;
  assert.deepEqual(
    subject?.cgroups.map(({ attached, hooks }) => [attached, hooks]),
    [[true, HOOKS]],
  );
  const [learned] = status.learned;
  assert.deepEqual(
    [learned?.subject, learned?.address, learned?.names],
    [subject?.subject, ALLOWED_ADDRESS, [ALLOWED]],
  );
  assert.ok(status.rules.every((rule) => rule.subject === subject?.subject));
  assert.ok(status.programs.some(({ name }) => name.startsWith('l7egg_leave')));
  assert.match(await statusText(enforcer.instance), /^ +hooks +8 of 8: socket, /mu);
});

test('status of what an earlier version wrote down', async (context) => {
  const enforcer = await startFor(context, host);
  await isOpen(host, ALLOWED);
  await killNow(enforcer);
  const path = `${new RunDir(enforcer.instance).path}/state.json`;
  const record = new RunDir(enforcer.instance).readRecord();
  assert.ok(record);
  const policies = record.policies.map(({ names: _names, files: _files, ...rest }) => rest);
  writeFileSync(path, JSON.stringify({ ...record, policies }));
  const status = await statusJson(host, enforcer.instance);
  assert.deepEqual([status.enforcing, status.subjects[0]?.policies], [true, undefined]);
  assert.deepEqual(
    status.rules.map(({ policy }) => policy),
    ['flags'],
  );
  assert.match(await statusText(enforcer.instance), /^enforcing$/mu);
});

test('status of nothing is as the schema has it', async () => {
  const instance = newInstance();
  const status = await statusJson(host, instance);
  assert.deepEqual([status.enforcing, status.learned, status.pid], [false, [], undefined]);
  assert.equal(isStatus({ ...status, enforcing: 'yes' }), false);
  const { rules: _rules, ...lacking } = status;
  assert.equal(isStatus(lacking), false);
});

describe('names of leases outlive the process', () => {
  async function learn(context: Parameters<typeof startFor>[0]) {
    const enforcer = await startFor(context, host);
    assert.equal(await isOpen(host, ALLOWED), true);
    await enforcer.waitForEvent(({ reason }) => reason === 'learned');
    return enforcer;
  }

  async function assertKnown(context: Parameters<typeof startFor>[0], instance: string): Promise<void> {
    const next = await startFor(context, host, undefined, { instance });
    assert.match(next.remarks().join('\n'), /adopted what was in force/u);
    assert.equal(await isOpen(host, ALLOWED_ADDRESS), true);
    const event = await next.waitForEvent(({ kind, dst }) => kind === 'flow' && dst === ALLOWED_ADDRESS);
    assert.deepEqual(event.names, [ALLOWED]);
    assert.deepEqual(
      event.leases?.map(({ name }) => name),
      [ALLOWED],
    );
    const { learned, namesFrom } = await statusJson(host, instance);
    assert.deepEqual([namesFrom, learned[0]?.names], ['process', [ALLOWED]]);
    await next.stop();
    const fresh = await startFor(context, host, undefined, { instance });
    assert.equal(await isOpen(host, ALLOWED_ADDRESS), false, 'its lease ended with the stop');
    const refusal = await fresh.waitForEvent(({ dst }) => dst === ALLOWED_ADDRESS);
    assert.deepEqual(refusal.names, [], 'and so did its name');
  }

  test('SIGUSR2, then start, as a restart of the service does', async (context) => {
    const { process, instance } = await learn(context);
    process.kill('SIGUSR2');
    assert.deepEqual(await process.exited, { code: 0, signal: null });
    const status = await statusJson(host, instance);
    assert.deepEqual([status.enforcing, status.pid, status.process], [true, undefined, undefined]);
    assert.deepEqual([status.namesFrom, status.learned[0]?.names], ['file', [ALLOWED]]);
    assert.match(await statusText(instance), /learned addresses: 1 \(no process answers: names as it wrote/u);
    await assertKnown(context, instance);
  });

  test('kill -9, then start', async (context) => {
    const enforcer = await learn(context);
    const { instance } = enforcer;
    const path = new RunDir(instance).namesPath;
    await until(() => existsSync(path), { limitMs: LIMIT_MS, what: `"${path}"` });
    await killNow(enforcer);
    await assertKnown(context, instance);
  });

  test('a process that does not answer is not waited for', async (context) => {
    const { process, instance } = await learn(context);
    const path = new RunDir(instance).namesPath;
    await until(() => existsSync(path), { limitMs: LIMIT_MS, what: `"${path}"` });
    process.kill('SIGSTOP');
    const status = await statusJson(host, instance);
    assert.deepEqual([status.enforcing, status.pid, status.process?.events], [true, process.pid, undefined]);
    assert.deepEqual([status.namesFrom, status.learned[0]?.names], ['file', [ALLOWED]]);
    assert.match(await statusText(instance), /^ +up +.*, does not answer$/mu);
    process.kill('SIGCONT');
    const after = await statusJson(host, instance);
    assert.deepEqual([after.namesFrom, typeof after.process?.events], ['process', 'number']);
  });

  test('kill -9, and nothing was written down: by address and rule, and that is said', async (context) => {
    const enforcer = await learn(context);
    await killNow(enforcer);
    rmSync(new RunDir(enforcer.instance).namesPath, { force: true });
    const status = await statusJson(host, enforcer.instance);
    assert.deepEqual(
      [status.namesFrom, status.learned[0]?.names, status.learned[0]?.rules],
      ['nowhere', [], ['-cn=.ok.example']],
    );
    assert.match(
      await statusText(enforcer.instance),
      /learned addresses: 1 \(no process answers: by address and rule/u,
    );
  });
});
