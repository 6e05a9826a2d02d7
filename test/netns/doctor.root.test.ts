/*
 * What `doctor` says of a host: what it lacks, what no instance serves, and what can't be held. The lab is that of
 * robust-lab.ts; tun5 leads nowhere.
 */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { NOT_HELD } from '../../src/enforcer/host-report.ts';
import { findCli } from '../lab/checkout.ts';
import type { Namespace } from '../lab/namespace.ts';
import type { Lab } from '../lab/topology.ts';
import { compileFixture } from '../libbpf/fixture.ts';
import { createRobustLab, l7egg, startFor, startScript } from './robust-lab.ts';

const FLAGS = ['-iface=eth0', '-eface=tun5', '-cidr=198.51.100.1'];
const LIMIT_MS = 5_000;

let lab: Lab;
let host: Namespace;

before(async () => {
  lab = await createRobustLab();
  host = lab.host;
  host.must('ip', ['tuntap', 'add', 'mode', 'tun', 'name', 'tun5']);
  host.must('ip', ['link', 'set', 'tun5', 'up']);
});
after(() => lab.close());

/** What it says, by lines; asserts its exit code. */
async function report(code = 0): Promise<readonly string[]> {
  const done = await l7egg(host, 'doctor');
  assert.equal(done.code, code, done.stderr);
  return done.stdout.trimEnd().split('\n');
}

test('what can not be held is in every report', async () => {
  const lines = await report();
  for (const text of NOT_HELD) assert.ok(lines.includes(`note    ${text}`), text);
});

test('a way out that nobody serves is named, and who serves it', async (context) => {
  const unserved = 'note    interface tun5, no link-layer header: not served by any instance';
  assert.ok((await report()).includes(unserved));
  const enforcer = await startFor(context, host, FLAGS);
  const served = `ok      interface tun5, no link-layer header: served by instance "${enforcer.instance}"`;
  assert.ok((await report()).includes(served));
  await enforcer.stop();
  assert.ok((await report()).includes(unserved));
});

test('a program before ours is named, and not when it is gone', async (context) => {
  const passed = 'note    interface tun5: "count" runs before l7egg and can pass packets by';
  await startFor(context, host, FLAGS);
  assert.ok(!(await report()).includes(passed));
  const stranger = startScript(host, 'robust-stranger', compileFixture(), 'tun5', 'egress', 'tcx');
  await stranger.waitForLine(/^attached$/u, LIMIT_MS);
  assert.ok((await report()).includes(passed));
  await stranger.stop();
  assert.ok(!(await report()).includes(passed));
});

test('a resolver on IPv6 loopback is named, one on IPv4 loopback is not', async () => {
  const forged = /^note {4}resolver \[?::1\]?\S* who has CAP_NET_RAW can forge its answers/mu;
  host.useResolvConf('nameserver ::1\n');
  assert.match((await report()).join('\n'), forged);
  host.useResolvConf('nameserver 127.0.0.1\n');
  assert.doesNotMatch((await report()).join('\n'), forged);
});

test('without privilege: exit 3, with what is missing and how to get it', async () => {
  const done = await host.runAsync('setpriv', [
    '--bounding-set=-all',
    '--inh-caps=-all',
    '--',
    findCli(),
    'doctor',
  ]);
  assert.equal(done.code, 3, done.stdout);
  assert.match(done.stdout, /^MISSING bpf: .*(?:CAP_BPF|root)/mu);
});
