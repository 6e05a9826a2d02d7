/*
 * What the enforcer promises, in short: for each kernel that `make test-vm` boots. The lab is that of robust-lab.ts.
 */
import assert from 'node:assert/strict';
import { release } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { createCgroup } from '../lab/cgroup.ts';
import { findCli } from '../lab/checkout.ts';
import { curl } from '../lab/clients.ts';
import type { Namespace } from '../lab/namespace.ts';
import type { Lab } from '../lab/topology.ts';
import { startEnforcer } from './enforcer.ts';
import { openEchoFlow } from './learning-flow.ts';
import { isAtOnce, isRefused, passes } from './learning-lab.ts';
import { allow, makeDirectory, mustReload, policyText, replaceFile, startByFiles } from './reload-lab.ts';
import {
  ALLOWED,
  ALLOWED_ADDRESS,
  BLOCKED,
  chains,
  createRobustLab,
  FLAGS,
  filesOf,
  isOpen,
  killNow,
  l7egg,
  newInstance,
  OTHER,
  startFor,
} from './robust-lab.ts';

const TCX = ['eth0 ingress l7egg_arrive', 'eth0 egress l7egg_egress'];
const CLSACT = ['eth0 clsact', 'eth0 ingress clsact l7egg_arrive', 'eth0 egress clsact l7egg_egress'];
/** A connect that a cgroup's program refuses is told EPERM, which curl gives as this. */
const CURL_REFUSED = 7;

let lab: Lab;
let host: Namespace;

before(async () => {
  lab = await createRobustLab();
  host = lab.host;
});
after(() => lab.close());

/** What has to be on eth0: tcx came with Linux 6.6. */
function attachedHere(): { kind: string; hooks: readonly string[] } {
  const [major = 0, minor = 0] = release().split('.').map(Number);
  const isOld = major < 6 || (major === 6 && minor < 6);
  return isOld ? { kind: 'clsact', hooks: CLSACT } : { kind: 'tcx', hooks: TCX };
}

test(`on ${attachedHere().kind}: a name opens what it says, all else is refused at once; stop opens`, async (context) => {
  assert.equal(await isOpen(host), true, 'before');
  const enforcer = await startFor(context, host);
  assert.deepEqual(await chains(host), attachedHere().hooks);
  assert.equal(await isOpen(host, ALLOWED_ADDRESS), false, 'not looked up yet');
  await passes(host, ALLOWED);
  await isAtOnce(async () => (await isRefused(host, BLOCKED)).totalMs);
  assert.equal(await isOpen(host, 'www.no.example'), false);
  await passes(host, ALLOWED_ADDRESS);
  assert.deepEqual(await enforcer.stop(), { code: 0, signal: null });
  assert.equal(await isOpen(host), true);
  assert.deepEqual(await chains(host), []);
  assert.deepEqual(filesOf(enforcer.instance), []);
});

test('after kill -9 it refuses and learns on; the next start adopts flow and lease', async (context) => {
  const killed = await startFor(context, host);
  await passes(host, ALLOWED);
  using flow = await openEchoFlow(host, `TCP4:${ALLOWED_ADDRESS}:7`);
  await killNow(killed);
  await flow.echo('killed');
  assert.equal(await isOpen(host), false);
  await passes(host, OTHER);
  const { code, stdout } = await l7egg(host, 'status', `-instance=${killed.instance}`);
  assert.equal(code, 0);
  assert.match(stdout, /process +none/u);
  const next = await startEnforcer(host, FLAGS, { instance: killed.instance });
  assert.match(next.remarks().join('\n'), /adopted what was in force/u);
  await flow.echo('adopted');
  await passes(host, ALLOWED_ADDRESS);
  assert.equal(await isOpen(host), false);
  await killNow(next);
  assert.equal((await l7egg(host, 'stop', `-instance=${killed.instance}`)).code, 0);
  assert.equal(await isOpen(host), true);
  assert.deepEqual(await chains(host), []);
  assert.deepEqual(filesOf(killed.instance), []);
});

test('a reload turns what passes and what does not', async (context) => {
  const file = join(makeDirectory(host), 'policy.yaml');
  replaceFile(file, policyText([allow('one', ALLOWED_ADDRESS)]));
  const enforcer = await startByFiles(context, host, [file]);
  assert.equal(await isOpen(host, ALLOWED_ADDRESS), true);
  assert.equal(await isOpen(host), false);
  replaceFile(file, policyText([allow('other', BLOCKED)]));
  await mustReload(host, enforcer);
  assert.equal(await isOpen(host, ALLOWED_ADDRESS), false);
  assert.equal(await isOpen(host), true);
});

test('a cgroup is refused what others are not, also after kill -9; clean opens', async (context) => {
  using cgroup = createCgroup(host, 'kernel');
  const instance = newInstance();
  const exitCode = async (target: string) => (await curl(cgroup, `http://${target}/`)).exitCode;
  assert.equal(await exitCode(BLOCKED), 0);
  const enforcer = await startFor(context, host, [`-cgroup=${cgroup.path}`, '-cn=.ok.example'], { instance });
  assert.equal(await exitCode(ALLOWED), 0);
  assert.equal(await exitCode(BLOCKED), CURL_REFUSED);
  assert.equal(await isOpen(host), true, 'beside it');
  await killNow(enforcer);
  assert.equal(await exitCode(OTHER), 0);
  assert.equal(await exitCode(BLOCKED), CURL_REFUSED);
  assert.equal((await l7egg(host, 'clean', `-instance=${instance}`)).code, 0);
  assert.equal(await exitCode(BLOCKED), 0);
  assert.deepEqual(filesOf(instance), []);
});

test('run lets one command to what it lists, and to nothing else', async () => {
  const run = (target: string) =>
    host.runAsync(findCli(), ['run', '-cn=.ok.example', '--', 'curl', '-sS', `http://${target}/`]);
  const listed = await run(ALLOWED);
  assert.equal(listed.code, 0, listed.stderr);
  assert.equal(listed.stdout, `hello from ${ALLOWED_ADDRESS}\n`);
  const refused = await run(BLOCKED);
  assert.equal(refused.code, CURL_REFUSED, refused.stderr);
  assert.match(refused.stderr, new RegExp(`-cidr=${BLOCKED}`, 'u'));
  assert.equal(await isOpen(host), true, 'beside it');
});
