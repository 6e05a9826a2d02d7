/*
 * The form of what a running enforcer writes, by where its outputs go. The journal itself is in test/systemd; here a
 * pipe or file is called so by JOURNAL_STREAM. The lab is that of robust-lab.ts.
 */
import assert from 'node:assert/strict';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { findCli } from '../lab/checkout.ts';
import { curl } from '../lab/clients.ts';
import type { Namespace } from '../lab/namespace.ts';
import type { Process } from '../lab/process.ts';
import type { Lab } from '../lab/topology.ts';
import { until } from '../lab/wait.ts';
import { ALLOWED, BLOCKED, createRobustLab, l7egg, newInstance, startFor } from './robust-lab.ts';

const LIMIT_MS = 10_000;
const POLICY = (address: string) =>
  `{apiVersion: l7egg/v1, kind: EgressPolicy, name: p, rules: [{cidrs: [${address}], names: [${ALLOWED}]}]}\n`;

let lab: Lab;
let host: Namespace;

before(async () => {
  lab = await createRobustLab();
  host = lab.host;
});
after(() => lab.close());

/** The command below a shell that redirects its outputs. */
function startRedirected(
  redirections: string,
  flags: readonly string[],
): { process: Process; instance: string } {
  const instance = newInstance();
  const words = [findCli(), '-iface=eth0', '-eface=eth0', `-instance=${instance}`, ...flags];
  return { process: host.spawn('sh', ['-c', `${redirections}; exec "$@"`, 'sh', ...words]), instance };
}

function linesOf(path: string): readonly string[] {
  if (!existsSync(path)) return [];
  return readFileSync(path, 'utf8').split('\n').slice(0, -1);
}

test('a file has the time of day in front of what is said after the start, and in none of the start', async (context) => {
  const log = join(host.directory, 'stderr.log');
  const policy = join(host.directory, 'policy.yaml');
  writeFileSync(policy, POLICY('192.0.2.200'));
  const { process, instance } = startRedirected(`exec 2>${log}`, [`-policy=${policy}`, '-log=json']);
  context.after(() => l7egg(host, 'clean', `-instance=${instance}`));
  await process.waitForLine(/"action":"enforcing"/u, LIMIT_MS);
  assert.ok(linesOf(log).some((line) => line.startsWith('enforcing on eth0')));
  writeFileSync(policy, POLICY('192.0.2.201'));
  await process.waitForLine(/"action":"reloaded"/u, LIMIT_MS);
  process.kill('SIGTERM');
  await process.exited;
  const lines = linesOf(log);
  const ready = lines.findIndex((line) => line.startsWith('enforcing'));
  for (const line of lines.slice(0, ready)) assert.doesNotMatch(line, /^\d\d:/u);
  const later = lines.slice(ready + 1);
  for (const line of later) assert.match(line, /^\d\d:\d\d:\d\d\.\d{3} /u);
  for (const end of [' reloaded', ' stopped: nothing is enforced any more'])
    assert.ok(
      later.some((line) => line.endsWith(end)),
      later.join('\n'),
    );
});

for (const log of ['text', 'json'] as const)
  test(`the journal has the level in front of each line, and the line of being ready: -log=${log}`, async (context) => {
    const out = join(host.directory, `journal-${log}`);
    // Both outputs are one stream, as systemd has it.
    const redirections = `exec >>${out} 2>&1; export JOURNAL_STREAM=$(stat -Lc %d:%i /proc/self/fd/2)`;
    const { process, instance } = startRedirected(redirections, ['-cn=.ok.example', `-log=${log}`]);
    context.after(() => l7egg(host, 'clean', `-instance=${instance}`));
    await until(() => linesOf(out).some((line) => line.startsWith('<5>enforcing on eth0')), {
      limitMs: LIMIT_MS,
      what: 'it enforces',
    });
    await curl(host, `http://${ALLOWED}/`);
    await curl(host, `http://${BLOCKED}/`);
    await until(() => linesOf(out).some((line) => line.includes(BLOCKED)), {
      limitMs: LIMIT_MS,
      what: 'it tells of it',
    });
    process.kill('SIGTERM');
    await process.exited;
    const lines = linesOf(out);
    for (const line of lines) assert.match(line, /^<[3-6]>[^<]/u);
    const verdict = (word: string) =>
      lines.filter((line) => line.includes(log === 'json' ? `"verdict":"${word}"` : ` ${word} `));
    for (const line of verdict('deny')) assert.match(line, /^<5>/u);
    for (const line of verdict('allow')) assert.match(line, /^<6>/u);
    assert.ok(verdict('deny').length > 0 && verdict('allow').length > 0);
    assert.ok(lines.includes('<5>stopped: nothing is enforced any more'));
  });

test('an error of the start has its level in front in the journal, and no other where it went elsewhere', () => {
  const inJournal = host.run('sh', [
    '-c',
    'JOURNAL_STREAM=$(stat -Lc %d:%i /proc/self/fd/2) exec "$@"',
    'sh',
    findCli(),
    '-cidr=x',
  ]);
  assert.match(inJournal.stderr, /^<3>l7egg-cli: [^\n]*"x"[^\n]*\n$/u);
  const elsewhere = host.run('sh', ['-c', 'JOURNAL_STREAM=1:1 exec "$@"', 'sh', findCli(), '-cidr=x']);
  assert.match(elsewhere.stderr, /^l7egg-cli: /u);
});

test('with -log=json what is said of the start and later is told as events as well, in order', async (context) => {
  const policy = join(host.directory, 'json.yaml');
  writeFileSync(policy, POLICY('192.0.2.200'));
  host.useResolvConf('nameserver 192.0.2.53\nnameserver nine\n');
  context.after(() => host.useResolvConf('nameserver 192.0.2.53\n'));
  const enforcer = await startFor(context, host, ['-iface=eth0', '-eface=eth0', `-policy=${policy}`]);
  writeFileSync(policy, 'rules: [');
  const failed = await enforcer.waitForEvent(({ action }) => action === 'reload-failed', LIMIT_MS);
  assert.equal(failed.message, 'NOT reloaded, what was in force stays');
  const told = enforcer.events().filter(({ kind }) => kind === 'lifecycle' || kind === 'policy');
  assert.match(told.find(({ action }) => action === 'remark')?.message ?? '', /"nine" is not an address/u);
  const order = told.map(({ action }) => action).filter((action) => action !== 'remark');
  assert.deepEqual(order, ['in-force', 'enforcing', 'reload-failed']);
  const seqs = enforcer.events().map(({ seq }) => seq);
  assert.deepEqual(
    seqs,
    [...seqs].sort((a, b) => a - b),
  );
});
