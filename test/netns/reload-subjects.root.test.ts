/*
 * Subjects that come and go with a change of policies. The lab is that of reload-lab.ts; clients run in cgroups.
 */
import assert from 'node:assert/strict';
import { mkdirSync, rmdirSync, writeFileSync } from 'node:fs';
import { after, before, type TestContext, test } from 'node:test';
import { needCgroup2 } from '../../src/libbpf/cgroup2.ts';
import type { Namespace } from '../lab/namespace.ts';
import type { Lab } from '../lab/topology.ts';
import { until } from '../lab/wait.ts';
import { startEnforcer } from './enforcer.ts';
import {
  ANOTHER,
  allow,
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

interface Cgroup {
  readonly path: string;
  readonly subject: string;
}

/** A cgroup that goes with the test, and after the enforcer. */
function makeCgroup(context: TestContext): Cgroup {
  const name = `/${newInstance()}`;
  const path = `${needCgroup2()}${name}`;
  mkdirSync(path);
  context.after(() => until(() => isRemoved(path), { limitMs: LIMIT_MS, what: `the end of ${path}` }));
  return { path, subject: `cgroup:${name}` };
}

function isRemoved(path: string): boolean {
  try {
    rmdirSync(path);
    return true;
  } catch {
    return false; // EBUSY: its last process is just ending
  }
}

/** Which of ONE, ANOTHER and THIRD a process of the cgroup, or of none, may connect to. */
function openTo(cgroup?: Cgroup): string[] {
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
  const policy = (cgroup: Cgroup, address: string) =>
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
