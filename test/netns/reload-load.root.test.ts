/*
 * Policies change under load: no connect that is allowed before and after fails, none that is blocked passes. The lab
 * is that of reload-lab.ts.
 *
 * Every version of the policy allows PREFIX, by another rule each time, and NAMED, by the lease of a rule that stays;
 * none allows NEVER, and DENIED is refused by a deny rule here, by none there.
 */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, type TestContext, test } from 'node:test';
import { fuzzSettings } from '../fuzz/fuzz-settings.ts';
import { findCheckout, findCli } from '../lab/checkout.ts';
import { mustRun } from '../lab/command.ts';
import type { Namespace } from '../lab/namespace.ts';
import type { Process } from '../lab/process.ts';
import { addressRecords } from '../lab/records.ts';
import type { Lab } from '../lab/topology.ts';
import { RunningEnforcer } from './enforcer.ts';
import { makeCgroup, makeDirectory, policyText, replaceFile, untilReloaded } from './reload-lab.ts';
import { BLOCKED, createRobustLab, isOpen, l7egg, newInstance } from './robust-lab.ts';

const { rounds: RELOADS } = fuzzSettings(60);
/** Looked up once: the lease is to last longer than the test. */
const NAMED = 'lasting.ok.example';
const NAMED_ADDRESS = '198.51.100.212';
const NAMED_TTL = 3_600;
const PREFIX = '198.51.100.1';
const DENIED = '198.51.100.9';
const PORT = 2000;
const LIMIT_MS = 5_000;
const START_LIMIT_MS = 15_000;

interface Report {
  readonly allowed: number;
  readonly blocked: number;
  readonly failed: number;
  readonly passed: number;
  readonly ms: number;
  readonly worstUs: number;
  readonly first: string;
}

let lab: Lab;
let host: Namespace;
let program: string;

before(async () => {
  lab = await createRobustLab(addressRecords(NAMED, [NAMED_ADDRESS], NAMED_TTL));
  host = lab.host;
  program = join(makeDirectory(host), 'connects');
  const source = join(findCheckout(), 'test', 'netns', 'reload-connects.c');
  mustRun(['clang', '-O2', '-Wall', '-Wextra', '-Werror', source, '-o', program]);
  const server = lab.web.spawn(program, [`${PORT}`]);
  await server.waitForLine(/^listening$/, LIMIT_MS);
});
after(() => lab.close());

const NAME = `{name: named, names: [${NAMED}]}`;
const others = (count: number) =>
  Array.from({ length: count }, (_, index) => `{name: other${index}, suffixes: [.s${index}.example]}`);
const VERSIONS: readonly (readonly string[])[] = [
  [NAME, `{name: exact, cidrs: [${PREFIX}]}`],
  [
    ...others(3),
    NAME,
    '{name: wide, cidrs: [198.51.100.0/28]}',
    `{name: not, cidrs: [${DENIED}], action: deny}`,
  ],
  [`{name: exact, cidrs: [${PREFIX}], ports: [1000-3000/tcp]}`, ...others(9), NAME],
  [NAME, '{name: wide, cidrs: [198.51.100.0/29, 203.0.113.0/26]}'],
  [
    `{name: not, names: [www.no.example], action: deny}`,
    NAME,
    '{name: few, cidrs: [198.51.100.0/30]}',
    ...others(2),
  ],
];

/** Starts the client, in a cgroup when one is given. */
async function startClient(context: TestContext, cgroup?: string): Promise<Process> {
  const words = [program, `${PORT}`, `${PREFIX},${NAMED_ADDRESS}`, `${BLOCKED},${DENIED}`];
  const enter = cgroup === undefined ? '' : `echo $$ > ${cgroup}/cgroup.procs; `;
  const client = host.spawn('sh', ['-c', `${enter}exec "$@"`, 'sh', ...words]);
  context.after(() => client.stop());
  await client.waitForLine(/^going$/, LIMIT_MS);
  return client;
}

/** Ends the client and asserts that it noticed nothing. */
async function assertUnnoticed(context: TestContext, client: Process): Promise<void> {
  client.kill('SIGTERM');
  const { text } = await client.waitForLine(/^\{/, LIMIT_MS);
  const report: Report = JSON.parse(text);
  const perSecond = Math.round(((report.allowed + report.blocked) * 1000) / report.ms);
  context.diagnostic(`${perSecond} connects/s, ${RELOADS} reloads: ${text}`);
  assert.equal(report.first, '', text);
  assert.deepEqual([report.failed, report.passed], [0, 0], text);
  assert.ok(report.worstUs < 900_000, `no SYN was lost and sent again after a second: ${text}`);
  assert.ok(report.allowed > 10 * RELOADS && report.blocked > 10 * RELOADS, text);
}

/** Has the enforcer take over each of `texts` in turn, again and again. */
async function reloadOften(enforcer: RunningEnforcer, file: string, texts: readonly string[]): Promise<void> {
  for (let round = 1; round <= RELOADS; round++) {
    const mark = enforcer.process.mark();
    replaceFile(file, texts[round % texts.length] ?? '');
    enforcer.process.kill('SIGHUP');
    await untilReloaded(enforcer, mark);
  }
}

/** Starts an enforcer whose events nobody reads: to read them would take the CPU that the load needs. */
async function startQuietly(context: TestContext, flags: readonly string[]): Promise<RunningEnforcer> {
  const instance = newInstance();
  context.after(() => l7egg(host, 'clean', `-instance=${instance}`));
  const words = [findCli(), ...flags, `-instance=${instance}`];
  const process = host.spawn('sh', ['-c', 'exec "$@" > /dev/null', 'sh', ...words]);
  await process.waitForLine(/^enforcing/, START_LIMIT_MS);
  return new RunningEnforcer(process, instance, 'text');
}

test(`${RELOADS} reloads while a host connects all the time`, async (context) => {
  const texts = VERSIONS.map((rules) => policyText(rules));
  const file = `${makeDirectory(host)}/policy.yaml`;
  writeFileSync(file, texts[0] ?? '');
  const enforcer = await startQuietly(context, ['-iface=eth0', '-eface=eth0', `-policy=${file}`]);
  assert.equal(await isOpen(host, NAMED), true);
  const client = await startClient(context);
  await reloadOften(enforcer, file, texts);
  await assertUnnoticed(context, client);
});

test(`${RELOADS} reloads while the processes of a cgroup connect all the time`, async (context) => {
  const { path, subject } = makeCgroup(context);
  const texts = VERSIONS.map((rules) => policyText(rules, [`subject: '${subject}'`]));
  const file = `${makeDirectory(host)}/policy.yaml`;
  writeFileSync(file, texts[0] ?? '');
  const enforcer = await startQuietly(context, [`-policy=${file}`]);
  host.must('sh', ['-c', `echo $$ > ${path}/cgroup.procs; exec curl -sS -o /dev/null http://${NAMED}/`]);
  const client = await startClient(context, path);
  await reloadOften(enforcer, file, texts);
  await assertUnnoticed(context, client);
});

test(`${RELOADS} reloads that make a cgroup a subject of its own and no longer`, async (context) => {
  const { path, subject } = makeCgroup(context);
  const rules = `{name: both, cidrs: [${PREFIX}, ${NAMED_ADDRESS}]}`;
  const others = '{name: others, cidrs: [203.0.113.0/28]}';
  // What the one says of the cgroup the other does not say: a mixture of two versions lets nothing pass.
  const alone = policyText([rules, others]);
  const apart = [policyText([others]), policyText([rules], [`subject: '${subject}'`])].join('---\n');
  const file = `${makeDirectory(host)}/policy.yaml`;
  writeFileSync(file, alone);
  const enforcer = await startQuietly(context, ['-iface=eth0', '-eface=eth0', `-policy=${file}`]);
  const client = await startClient(context, path);
  await reloadOften(enforcer, file, [alone, apart]);
  await assertUnnoticed(context, client);
});
