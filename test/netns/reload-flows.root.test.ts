/*
 * What a change of policies does to traffic that is on its way. The lab is that of reload-lab.ts, with a client whose
 * packets the host forwards.
 */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { after, before, describe, type TestContext, test } from 'node:test';
import type { Namespace } from '../lab/namespace.ts';
import type { Process } from '../lab/process.ts';
import { startUdpEcho } from '../lab/servers.ts';
import { addNatClient, type Lab, RESOLVERS } from '../lab/topology.ts';
import {
  ANOTHER,
  allow,
  makeDirectory,
  mustReload,
  ONE,
  policyText,
  startByFiles,
  statusOf,
  THIRD,
} from './reload-lab.ts';
import { ALLOWED, ALLOWED_ADDRESS, createRobustLab, isOpen, OTHER, startScript } from './robust-lab.ts';

const LIMIT_MS = 5_000;
const AT_ONCE_MS = 100;
const ECHO = 7;

let lab: Lab;
let host: Namespace;
let client: Namespace;

before(async () => {
  lab = await createRobustLab();
  host = lab.host;
  client = addNatClient(lab);
  await startUdpEcho(lab.web);
});
after(() => lab.close());

/** A policy file with these rules, in a directory of its own. */
function write(...rules: readonly string[]): string {
  const path = `${makeDirectory(host)}/policy.yaml`;
  writeFileSync(path, policyText(rules));
  return path;
}

/** A connection that says `ended HOW` when it ends, and sends a message, answered by `echo TEXT`, per SIGUSR1. */
async function connectFrom(
  context: TestContext,
  namespace: Namespace,
  address: string,
  kind: 'tcp' | 'udp' = 'tcp',
): Promise<Process> {
  const process = startScript(namespace, 'reload-flow', kind, address, `${ECHO}`);
  context.after(() => process.stop());
  await process.waitForLine(/^connected$/, LIMIT_MS);
  await talk(process);
  return process;
}

/** Has it send a message; resolves with what came of it. */
async function talk(process: Process): Promise<string> {
  const mark = process.mark();
  process.kill('SIGUSR1');
  return (await process.waitForLine(/^(echo|ended|refused)/, LIMIT_MS, mark)).text;
}

test('a long transfer goes on through 20 reloads with no segment sent twice', async (context) => {
  const file = write(allow('one', ONE));
  const enforcer = await startByFiles(context, host, [file]);
  const transfer = startScript(host, 'reload-transfer', ONE, `${ECHO}`);
  await transfer.waitForLine(/^going$/, LIMIT_MS);
  for (let round = 0; round < 20; round++) {
    writeFileSync(file, policyText([allow('one', ONE), allow(`round${round}`, `203.0.113.${1 + round}`)]));
    await mustReload(host, enforcer);
  }
  transfer.kill('SIGTERM');
  const { text } = await transfer.waitForLine(/^\{/, LIMIT_MS);
  const report: { bytes: number; retransmits: number; error: string | null } = JSON.parse(text);
  assert.equal(report.error, null);
  assert.equal(report.retransmits, 0);
  assert.ok(report.bytes > 1_000_000, text);
});

describe('a rule that is withdrawn', () => {
  test('ends the connection of a program of this host at once', async (context) => {
    const file = write(allow('one', ONE), allow('another', ANOTHER));
    const enforcer = await startByFiles(context, host, [file]);
    const ended = await connectFrom(context, host, ONE);
    const kept = await connectFrom(context, host, ANOTHER);
    writeFileSync(file, policyText([allow('another', ANOTHER)]));
    await mustReload(host, enforcer);
    const { text } = await ended.waitForLine(/^ended/, AT_ONCE_MS);
    assert.match(text, /ECONNABORTED|ECONNRESET/);
    assert.match(await talk(kept), /^echo/);
  });

  test('ends a connection that is forwarded with its next packet', async (context) => {
    const file = write(allow('one', ONE), allow('another', ANOTHER));
    const enforcer = await startByFiles(context, host, [file]);
    const ended = await connectFrom(context, client, ONE);
    const kept = await connectFrom(context, client, ANOTHER);
    writeFileSync(file, policyText([allow('another', ANOTHER)]));
    await mustReload(host, enforcer);
    const since = performance.now();
    assert.match(await talk(ended), /^ended ECONNRE/);
    assert.ok(performance.now() - since < LIMIT_MS / 5);
    await enforcer.waitForEvent(({ dst, reason }) => dst === ONE && reason === 'withdrawn', LIMIT_MS);
    assert.match(await talk(kept), /^echo/);
  });

  test('refuses the next datagram of a flow', async (context) => {
    const file = write(allow('one', ONE), allow('another', ANOTHER));
    const enforcer = await startByFiles(context, host, [file]);
    const ended = await connectFrom(context, host, ONE, 'udp');
    const kept = await connectFrom(context, host, ANOTHER, 'udp');
    writeFileSync(file, policyText([allow('another', ANOTHER)]));
    await mustReload(host, enforcer);
    assert.match(await talk(ended), /^refused E/);
    assert.match(await talk(kept), /^echo/);
  });

  test('leaves alone what another rule allows, and ends what it does not', async (context) => {
    const file = write('{name: wide, cidrs: [198.51.100.0/24]}');
    const enforcer = await startByFiles(context, host, [file]);
    const kept = await connectFrom(context, host, ONE);
    const denied = await connectFrom(context, host, ANOTHER);
    const otherPort = await connectFrom(context, host, THIRD);
    const rules = [
      '{name: narrow, cidrs: [198.51.100.0/28]}',
      `{name: not, cidrs: [${ANOTHER}], action: deny}`,
      `{name: not this port, cidrs: [${THIRD}], ports: [7/tcp], action: deny}`,
    ];
    writeFileSync(file, policyText(rules));
    await mustReload(host, enforcer);
    await denied.waitForLine(/^ended/, AT_ONCE_MS);
    await otherPort.waitForLine(/^ended/, AT_ONCE_MS);
    assert.match(await talk(kept), /^echo/);
  });
});

test('leases of rules that stay are kept, those of withdrawn ones go', async (context) => {
  const file = write(`{name: stays, names: [${ALLOWED}]}`, `{name: goes, names: [${OTHER}]}`);
  const enforcer = await startByFiles(context, host, [file]);
  assert.deepEqual([await isOpen(host, ALLOWED), await isOpen(host, OTHER)], [true, true]);
  const before = (await statusOf(host, enforcer)).learned.map(({ address }) => address).sort();
  assert.deepEqual(before, [ALLOWED_ADDRESS, '198.51.100.211']);
  writeFileSync(
    file,
    policyText([`{name: stays, names: [${ALLOWED}]}`, '{name: new, suffixes: [.new.example]}']),
  );
  await mustReload(host, enforcer);
  assert.equal(await isOpen(host, ALLOWED_ADDRESS), true, 'with no look-up');
  assert.equal(await isOpen(host, '198.51.100.211'), false);
  const after = (await statusOf(host, enforcer)).learned.map(({ address }) => address);
  assert.deepEqual(after, [ALLOWED_ADDRESS]);
});

test('dns from open to strict and back: names that no rule lists are refused, and found again', async (context) => {
  const [{ v4: resolver }] = RESOLVERS;
  const file = write('{name: listed, names: [www.ok.example]}');
  const enforcer = await startByFiles(context, host, [file]);
  const statusOfLookup = (name: string) =>
    /status: (\w+)/.exec(host.run('dig', [`@${resolver}`, '+time=2', '+tries=1', name]).stdout)?.[1];
  assert.deepEqual([statusOfLookup(ALLOWED), statusOfLookup('www.no.example')], ['NOERROR', 'NOERROR']);
  for (const [mode, unlisted] of [
    ['strict', 'NXDOMAIN'],
    ['open', 'NOERROR'],
  ] as const) {
    writeFileSync(file, policyText(['{name: listed, names: [www.ok.example]}'], [`dns: ${mode}`]));
    await mustReload(host, enforcer);
    assert.deepEqual([statusOfLookup(ALLOWED), statusOfLookup('www.no.example')], ['NOERROR', unlisted]);
  }
});
