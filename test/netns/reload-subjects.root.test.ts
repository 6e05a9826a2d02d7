/*
 * Subjects that come and go with a change of policies. The lab is that of reload-lab.ts; clients run in cgroups.
 */
import assert from 'node:assert/strict';
import { mkdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs';
import { after, before, test } from 'node:test';
import type { Namespace } from '../lab/namespace.ts';
import { type Lab, WEB } from '../lab/topology.ts';
import { until } from '../lab/wait.ts';
import { startEnforcer } from './enforcer.ts';
import {
  ANOTHER,
  allow,
  type JudgedCgroup,
  makeCgroup,
  makeDirectory,
  mustReload,
  ONE,
  policyText,
  reload,
  startByFiles,
  statusOf,
  THIRD,
} from './reload-lab.ts';
import { createRobustLab, killNow, l7egg, newInstance } from './robust-lab.ts';

const LIMIT_MS = 5_000;

let lab: Lab;
let host: Namespace;

before(async () => {
  lab = await createRobustLab();
  host = lab.host;
});
after(() => lab.close());

/** Which of ONE, ANOTHER and THIRD a process of the cgroup, or of none, may connect to. */
function openTo(cgroup?: JudgedCgroup): string[] {
  const enter = cgroup ? `echo $$ > ${cgroup.path}/cgroup.procs; ` : '';
  return [ONE, ANOTHER, THIRD].filter((address) => {
    const script = `${enter}exec curl -sS -m 2 -o /dev/null http://${address}/`;
    return host.run('sh', ['-c', script]).code === 0;
  });
}

function files(...texts: readonly string[]): string {
  return texts.join('---\n');
}

test('a cgroup becomes a subject, gets another policy, and is none again', async (context) => {
  const cgroup = makeCgroup(context);
  const file = `${makeDirectory(host)}/policy.yaml`;
  const forHost = policyText([allow('one', ONE)]);
  const forCgroup = (...rules: string[]) => policyText(rules, [`subject: '${cgroup.subject}'`]);
  writeFileSync(file, forHost);
  const enforcer = await startByFiles(context, host, [file]);
  assert.deepEqual([openTo(), openTo(cgroup)], [[ONE], [ONE]]);
  writeFileSync(file, files(forHost, forCgroup(allow('another', ANOTHER))));
  const said = await mustReload(host, enforcer);
  assert.ok(said.includes(`+ ${cgroup.subject}: allow ${ANOTHER}/32 (another)`), said);
  assert.deepEqual([openTo(), openTo(cgroup)], [[ONE], [ANOTHER]]);
  writeFileSync(file, files(forHost, forCgroup(allow('third', THIRD))));
  await mustReload(host, enforcer);
  assert.deepEqual([openTo(), openTo(cgroup)], [[ONE], [THIRD]]);
  const { subjects } = await statusOf(host, enforcer);
  assert.deepEqual(
    subjects.map(({ subject, cgroups }) => [subject, cgroups.map(({ attached }) => attached)]),
    [
      ['host', []],
      [cgroup.subject, [true]],
    ],
  );
  writeFileSync(file, forHost);
  await mustReload(host, enforcer);
  assert.deepEqual([openTo(), openTo(cgroup)], [[ONE], [ONE]]);
});

test('of two cgroups one goes and a third comes; the first one notices nothing', async (context) => {
  const [stays, goes, comes] = [makeCgroup(context), makeCgroup(context), makeCgroup(context)];
  const file = `${makeDirectory(host)}/policy.yaml`;
  const policy = (cgroup: JudgedCgroup, address: string) =>
    policyText([allow('own', address)], [`subject: '${cgroup.subject}'`]);
  writeFileSync(file, files(policy(stays, ONE), policy(goes, ANOTHER)));
  const instance = newInstance();
  context.after(() => l7egg(host, 'clean', `-instance=${instance}`));
  const enforcer = await startEnforcer(host, [`-policy=${file}`], { instance });
  assert.deepEqual([openTo(stays), openTo(goes)], [[ONE], [ANOTHER]]);
  assert.equal(openTo(comes).length, 3, 'nobody controls it');
  writeFileSync(file, files(policy(stays, ONE), policy(comes, THIRD)));
  await mustReload(host, enforcer);
  assert.deepEqual([openTo(stays), openTo(comes)], [[ONE], [THIRD]]);
  assert.equal(openTo(goes).length, 3, 'nobody controls it any more');
});

test('a policy that no longer restricts a cgroup does not open it', async (context) => {
  const cgroup = makeCgroup(context);
  const file = `${makeDirectory(host)}/policy.yaml`;
  const policy = (types: string) =>
    `apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: np}\nspec: {podSelector: {}, policyTypes: [${types}], egress: [{to: [{ipBlock: {cidr: ${ONE}/32}}]}]}\n`;
  writeFileSync(file, policy('Egress'));
  const instance = newInstance();
  context.after(() => l7egg(host, 'clean', `-instance=${instance}`));
  const enforcer = await startEnforcer(host, [`-cgroup=${cgroup.path}`, `-policy=${file}`], { instance });
  assert.deepEqual(openTo(cgroup), [ONE]);
  writeFileSync(file, policy('Ingress'));
  const refused = await reload(host, enforcer);
  assert.equal(refused.code, 2);
  assert.match(refused.stderr, /no policy restricts/u);
  assert.deepEqual(openTo(cgroup), [ONE]);
});

test('one cgroup by another name keeps its rules and their ids', async (context) => {
  const cgroup = makeCgroup(context);
  const file = `${makeDirectory(host)}/policy.yaml`;
  const named = (subject: string) => policyText([allow('one', ONE)], [`subject: '${subject}'`]);
  writeFileSync(file, named(cgroup.subject));
  const instance = newInstance();
  context.after(() => l7egg(host, 'clean', `-instance=${instance}`));
  const enforcer = await startEnforcer(host, [`-policy=${file}`], { instance });
  const before = (await statusOf(host, enforcer)).rules;
  writeFileSync(file, named(`cgroup:${cgroup.path}`));
  await mustReload(host, enforcer);
  const after = (await statusOf(host, enforcer)).rules;
  assert.deepEqual(
    after.map(({ id }) => id),
    before.map(({ id }) => id),
  );
  assert.deepEqual(openTo(cgroup), [ONE]);
});

test('a cgroup that is not there: all of the old policy stays in force', async (context) => {
  const cgroup = makeCgroup(context);
  const file = `${makeDirectory(host)}/policy.yaml`;
  const forHost = policyText([allow('one', ONE)]);
  writeFileSync(file, forHost);
  const enforcer = await startByFiles(context, host, [file]);
  const missing = policyText([allow('another', ANOTHER)], ["subject: 'cgroup:/l7egg-no-such-cgroup'"]);
  const there = policyText([allow('third', THIRD)], [`subject: '${cgroup.subject}'`]);
  writeFileSync(file, files(policyText([allow('another', ANOTHER)]), there, missing));
  const { code, stderr } = await reload(host, enforcer);
  assert.equal(code, 2);
  assert.match(stderr, /l7egg-no-such-cgroup/);
  assert.deepEqual([openTo(), openTo(cgroup)], [[ONE], [ONE]]);
});

test('killed in the middle of 20 reloads and started again: the old policy or the new one, never half', async (context) => {
  const cgroup = makeCgroup(context);
  const file = `${makeDirectory(host)}/policy.yaml`;
  const old = files(
    policyText([allow('one', ONE)]),
    policyText([allow('another', ANOTHER)], [`subject: '${cgroup.subject}'`]),
  );
  const fresh = policyText([
    allow('third', THIRD),
    ...Array.from({ length: 300 }, (_, i) => allow(`r${i}`, `10.0.${i >> 8}.${i & 255}`)),
  ]);
  const states = [
    [[ONE], [ANOTHER]],
    [[THIRD], [THIRD]],
  ];
  const instance = newInstance();
  const flags = ['-iface=eth0', '-eface=eth0', `-policy=${file}`];
  context.after(() => l7egg(host, 'clean', `-instance=${instance}`));
  const seen = new Set<string>();
  for (let round = 0; round < 20; round++) {
    const [from, to] = round % 2 === 0 ? [old, fresh] : [fresh, old];
    writeFileSync(file, from);
    const enforcer = await startEnforcer(host, flags, { instance });
    assert.deepEqual(
      [openTo(), openTo(cgroup)],
      states[round % 2],
      `round ${round}: the start puts its own in force`,
    );
    writeFileSync(file, to);
    enforcer.process.kill('SIGHUP');
    await new Promise((resolve) => setTimeout(resolve, 8 * round));
    await killNow(enforcer);
    const found = JSON.stringify([openTo(), openTo(cgroup)]);
    const expected = states.map((each) => JSON.stringify(each));
    assert.ok(expected.includes(found), `round ${round}, killed ${8 * round} ms after SIGHUP: ${found}`);
    seen.add(found === expected[round % 2] ? 'old' : 'new');
    const { code } = await l7egg(host, 'status', `-instance=${instance}`);
    assert.equal(code, 0, `round ${round}: status`);
  }
  assert.deepEqual([...seen].sort(), ['new', 'old'], 'some were killed before the switch and some after it');
});

test('the cgroup of a process that ended is judged on, also by what a reload says', async (context) => {
  const cgroup = makeCgroup(context);
  const named = host.spawn('sh', ['-c', `echo $$ > ${cgroup.path}/cgroup.procs; exec sleep 1000`]);
  context.after(() => named.stop());
  await until(() => readFileSync(`${cgroup.path}/cgroup.procs`, 'utf8') !== '', {
    limitMs: LIMIT_MS,
    what: 'it',
  });
  const file = `${makeDirectory(host)}/policy.yaml`;
  writeFileSync(file, policyText([allow('one', ONE)]));
  const instance = newInstance();
  context.after(() => l7egg(host, 'clean', `-instance=${instance}`));
  const enforcer = await startEnforcer(host, [`-cgroup=pid:${named.pid}`, `-policy=${file}`], { instance });
  assert.deepEqual(openTo(cgroup), [ONE]);
  await named.stop();
  writeFileSync(file, policyText([allow('another', ANOTHER)]));
  await mustReload(host, enforcer);
  assert.deepEqual(openTo(cgroup), [ANOTHER]);
});

test('a cgroup that is away at a reload is judged by the new policy when it returns', async (context) => {
  const cgroup = makeCgroup(context);
  const file = `${makeDirectory(host)}/policy.yaml`;
  const policy = (rule: string) => policyText([rule], [`subject: '${cgroup.subject}'`]);
  writeFileSync(file, policy(allow('one', ONE)));
  const instance = newInstance();
  context.after(() => l7egg(host, 'clean', `-instance=${instance}`));
  const enforcer = await startEnforcer(host, [`-policy=${file}`], { instance });
  assert.deepEqual(openTo(cgroup), [ONE]);
  rmdirSync(cgroup.path);
  writeFileSync(file, policy(allow('another', ANOTHER)));
  await mustReload(host, enforcer);
  const mark = enforcer.process.mark();
  mkdirSync(cgroup.path);
  await enforcer.process.waitForLine(/ is there: judged by the policy of /u, LIMIT_MS, mark);
  assert.deepEqual(openTo(cgroup), [ANOTHER]);
});

test('what waits for its neighbour while its cgroup becomes a subject is judged by the new policy', async (context) => {
  const cgroup = makeCgroup(context);
  const file = `${makeDirectory(host)}/policy.yaml`;
  const forHost = policyText([allow('one', ONE)]);
  writeFileSync(file, forHost);
  const enforcer = await startByFiles(context, host, [file]);
  const arp = (ignore: number) =>
    lab.web.must('sh', ['-c', `echo ${ignore} > /proc/sys/net/ipv4/conf/eth0/arp_ignore`]);
  context.after(() => arp(1));
  const counts = [ANOTHER, THIRD].map(
    (address) => `add rule ip seen in ip daddr ${address} udp dport 9 counter`,
  );
  const hook = 'type filter hook prerouting priority 0;';
  lab.web.must('nft', ['-f', '-'], {
    input: ['add table ip seen', `add chain ip seen in { ${hook} }`, ...counts, ''].join('\n'),
  });
  host.must('sh', ['-c', 'echo 20 > /proc/sys/net/ipv4/neigh/eth0/mcast_solicit']);
  arp(8); // it answers nobody
  host.must('ip', ['neigh', 'flush', 'dev', 'eth0']);
  for (const address of [ANOTHER, THIRD]) {
    const send = `echo $$ > ${cgroup.path}/cgroup.procs; echo x | socat -u - UDP4:${address}:9`;
    host.must('sh', ['-c', send]);
  }
  writeFileSync(
    file,
    files(forHost, policyText([allow('another', ANOTHER)], [`subject: '${cgroup.subject}'`])),
  );
  await mustReload(host, enforcer);
  assert.match(host.must('ip', ['neigh', 'show', WEB.v4]), /INCOMPLETE/u, 'both still wait');
  arp(1);
  const seen = () => [...lab.web.must('nft', ['list', 'table', 'ip', 'seen']).matchAll(/packets (\d+)/gu)];
  await until(() => Number(seen()[0]?.[1]) > 0, { limitMs: LIMIT_MS, what: 'the one that is allowed' });
  assert.deepEqual(
    seen().map(([, packets]) => Number(packets)),
    [1, 0],
  );
});
