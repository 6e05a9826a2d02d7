/*
 * Text of others reaches terminals, logs and files: nothing of it may move the cursor, hide text or make a line. The
 * lab is that of robust-lab.ts, and
 *
 *   host "e\x1b[2J" a tunnel device      a runtime of containers whose names are as bad
 */
import assert from 'node:assert/strict';
import { copyFileSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { DockerDaemon } from '../containers/docker-daemon.ts';
import { createCgroup } from '../lab/cgroup.ts';
import { findCli } from '../lab/checkout.ts';
import type { RunResult } from '../lab/command.ts';
import type { Namespace } from '../lab/namespace.ts';
import type { Process } from '../lab/process.ts';
import type { Lab } from '../lab/topology.ts';
import { RESOLVERS } from '../lab/topology.ts';
import { ALLOWED, BLOCKED, createRobustLab, l7egg, newInstance } from './robust-lab.ts';

const LIMIT_MS = 10_000;
/** Erases the screen, turns the text round, begins a line that looks like an error of ours. */
const ERASE = '\u001b[2J';
const HOSTILE = `${ERASE}\u202e\u009b1m\n<3>forged`;
const ESCAPED = '\\x1b[2J\\u{202e}\\x9b1m\\x0a<3>forged';
/** A name that the kernel takes for an interface, where a line break is none. */
const INTERFACE = `e${ERASE}`;
// biome-ignore lint/suspicious/noControlCharactersInRegex: it is looked for
const UNSAFE = /[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069]|^<3>|^forged/mu;

let lab: Lab;
let host: Namespace;
let daemon: DockerDaemon;
/** A client whose path, and so its comm, argv and exe, are hostile. */
let client: string;
const outputs: (readonly [what: string, text: string])[] = [];

before(async () => {
  lab = await createRobustLab();
  host = lab.host;
  host.useResolvConf(`nameserver ${RESOLVERS[0].v4}\nnameserver ${ERASE}x\n`);
  client = join(host.directory, HOSTILE);
  copyFileSync('/usr/bin/curl', client);
  host.must('chmod', ['755', client]);
  daemon = new DockerDaemon();
  await daemon.start();
});
after(async () => {
  await daemon.stop();
  daemon[Symbol.dispose]();
  lab.close();
});

/** Keeps what was written for the last test. */
function keep(what: string, { stdout, stderr }: Pick<RunResult, 'stdout' | 'stderr'>): string {
  outputs.push([what, stdout], [what, stderr]);
  return stdout + stderr;
}

async function ask(...words: readonly string[]): Promise<string> {
  return keep(words.join(' '), await l7egg(host, ...words));
}

async function start(
  context: { after(act: () => unknown): void },
  ...words: readonly string[]
): Promise<Process> {
  const instance = newInstance();
  context.after(() => l7egg(host, 'clean', `-instance=${instance}`));
  const process = host.spawn(findCli(), [...words, `-instance=${instance}`], {
    env: { DOCKER_HOST: `unix://${daemon.path}`, INSTANCE: instance },
  });
  await process.waitForLine(/^enforcing/u, LIMIT_MS);
  return process;
}

function instanceOf(process: Process): string {
  const [, instance = ''] =
    /-instance=([^\0]+)/u.exec(readFileSync(`/proc/${process.pid}/cmdline`, 'utf8')) ?? [];
  return `-instance=${instance}`;
}

/** Ends it, keeps what it wrote, and answers that. */
async function end(process: Process): Promise<string> {
  process.kill('SIGTERM');
  await process.exited;
  const text = process.lines.map((line) => `${line.text}\n`).join('');
  outputs.push(['enforce', text]);
  return text;
}

describe('hostile text', () => {
  for (const log of ['text', 'json'] as const) {
    test(`of processes, interfaces, resolv.conf, files and rules is escaped: -log=${log}`, async (context) => {
      const file = join(host.directory, `${log}${HOSTILE}.yaml`);
      const policy = (address: string) =>
        JSON.stringify({
          apiVersion: 'l7egg/v1',
          kind: 'EgressPolicy',
          name: 'policy',
          rules: [{ name: 'rule', cidrs: [address], names: [ALLOWED] }],
        });
      writeFileSync(file, policy('192.0.2.200'));
      const process = await start(
        context,
        '-eface=*',
        '-eface=eth0',
        '-iface=eth0',
        `-policy=${file}`,
        `-log=${log}`,
      );
      const instance = instanceOf(process);
      host.must('ip', ['tuntap', 'add', 'name', INTERFACE, 'mode', 'tun']);
      await process.waitForLine(/^interface "e\\x1b\[2J" is there/u, LIMIT_MS);
      await host.runAsync(client, ['-s', '-m', '2', `http://${BLOCKED}/`]);
      await host.runAsync(client, ['-s', '-m', '2', `http://${ALLOWED}/`]);
      await process.waitForLine(/by rule|"rule":"rule"/u, LIMIT_MS);
      for (const words of [
        ['status'],
        ['status', '-json'],
        ['doctor'],
        ['check', `${ALLOWED}:80`],
        ['reload'],
      ])
        await ask(...words, instance);
      for (const format of ['compact', 'dict', 'table', 'json'])
        await ask('observe', `-o=${format}`, instance);
      writeFileSync(file, policy('192.0.2.201'));
      await process.waitForLine(/^reloaded$/u, LIMIT_MS);
      writeFileSync(file, policy('192.0.2.202').replace('"rule"', JSON.stringify(`rule${HOSTILE}`)));
      await process.waitForLine(/^NOT reloaded/u, LIMIT_MS);
      await ask('reload', instance);
      host.must('ip', ['link', 'del', INTERFACE]);
      await process.waitForLine(/^interface "e\\x1b\[2J" is gone/u, LIMIT_MS);
      const text = await end(process);
      assert.match(text, /nameserver "\\x1b\[2Jx" is not an address/u);
      assert.ok(text.includes(log === 'text' ? ' \\x1b[2J' : '"comm":"\\u001b[2J'), text);
      assert.ok(text.includes(`${log}${ESCAPED}.yaml:1:`), text);
    });
  }

  test('of cgroup paths is escaped', async (context) => {
    const cgroup = createCgroup(host, `l7egg-test-${process.pid}${ERASE}\u202e`);
    context.after(() => cgroup[Symbol.dispose]());
    const running = await start(
      context,
      '-mode=cgroup',
      `-cgroup=${cgroup.path}`,
      '-name=a.example',
      '-log=text',
    );
    await cgroup.runAsync(client, ['-s', '-m', '2', `http://${BLOCKED}/`]);
    await running.waitForLine(/deny/u, LIMIT_MS);
    const status = await ask('status', instanceOf(running));
    assert.match(status, /cgroup:.*\\x1b\[2J\\u\{202e\}/u);
    assert.match(await ask('status', '-json', instanceOf(running)), /\\u001b\[2J\\u202e/u);
    assert.match(await end(running), /^enforcing on .*\\x1b\[2J/mu);
  });

  test("of containers' names and labels is escaped", async (context) => {
    const cgroup = createCgroup(host, `l7egg-test-${process.pid}-c`);
    context.after(() => cgroup[Symbol.dispose]());
    const inside = cgroup.spawn('sleep', ['60']);
    const id = 'ab'.repeat(32);
    const running = await start(context, '-label=app=web', '-name=a.example');
    daemon.tell('start', {
      id,
      name: `box${HOSTILE}`,
      labels: { app: 'web', [HOSTILE]: HOSTILE },
      pid: inside.pid,
    });
    await running.waitForLine(/^container "box\\x1b\[2J.*forged": label:app=web in force/u, LIMIT_MS);
    await ask('status', instanceOf(running));
    await ask('status', '-json', instanceOf(running));
    await end(running);
  });

  test('of arguments is escaped, in errors too', async () => {
    const bad = join(host.directory, `bad${HOSTILE}`);
    writeFileSync(bad, `kind: "${ERASE.replace('\u001b', '\\e')}"\n`);
    const rows: readonly (readonly string[])[] = [
      [HOSTILE],
      [`-${HOSTILE}=1`],
      [`-cidr=${HOSTILE}`],
      [`-dns=${HOSTILE}`],
      ['check', `-policy=${bad}`],
      ['check', `-policy=${host.directory}/none${HOSTILE}`],
      [`-preset=${HOSTILE}`],
      [`-iface=${HOSTILE}`, '-audit'],
      ['presets', 'show', HOSTILE],
      ['completion', HOSTILE],
      ['-audit', `-netns=${HOSTILE}`],
    ];
    for (const words of rows) assert.match(await ask(...words), /\\x1b\[2J/u, words.join(' '));
  });

  test('of what `run` runs is escaped, in its summary too', async (context) => {
    const cgroup = createCgroup(host, `l7egg-test-${process.pid}-r`);
    context.after(() => cgroup[Symbol.dispose]());
    const summary = join(host.directory, 'summary.md');
    const flags = ['run', '-name=a.example', `-summary-md=${summary}`, '--'];
    const blocked = await cgroup.runAsync(findCli(), [
      ...flags,
      client,
      '-s',
      '-m',
      '2',
      `http://${BLOCKED}/`,
    ]);
    assert.match(keep('run', blocked), new RegExp(`${BLOCKED}.*\\\\x1b\\[2J`, 'u'));
    outputs.push(['summary', readFileSync(summary, 'utf8')]);
    const absent = await cgroup.runAsync(findCli(), ['run', '-name=a.example', '--', HOSTILE]);
    assert.equal(absent.code, 127);
    assert.match(keep('run', absent), /Cannot start "\\x1b\[2J/u);
  });

  test('nothing that was written has any of it', () => {
    assert.ok(outputs.length > 40);
    for (const [what, text] of outputs) assert.doesNotMatch(text, UNSAFE, what);
  });
});
