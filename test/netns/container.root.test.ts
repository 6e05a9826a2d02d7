/*
 * Containers as subjects, with the real containerd and runc. The containers are in the network namespace `host` of the
 * lab of robust-lab.ts, where the enforcer is or is not:
 *
 *   enforcer ── unix socket ── containerd ── runc ── busybox   (host 192.0.2.2 eth0 ── wire ── dns, web)
 */
import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { Containerd } from '../containers/containerd.ts';
import { findCli } from '../lab/checkout.ts';
import { cleanEnvironment } from '../lab/command.ts';
import type { Namespace } from '../lab/namespace.ts';
import { Process } from '../lab/process.ts';
import { type Lab, RESOLVERS } from '../lab/topology.ts';
import { until } from '../lab/wait.ts';
import type { LoggedEvent } from './enforcer.ts';
import { ALLOWED, ALLOWED_ADDRESS, BLOCKED, createRobustLab, l7egg, newInstance } from './robust-lab.ts';
import { wordsOf } from './suggest-lab.ts';

const LIMIT_MS = 15_000;
const [{ v4: RESOLVER }] = RESOLVERS;
const daemon = new Containerd();
const namespace = daemon.namespace('netns');

let lab: Lab;
let host: Namespace;

before(async () => {
  lab = await createRobustLab();
  host = lab.host;
  await daemon.start();
  daemon.importImage(namespace);
});
after(() => {
  daemon.close();
  lab.close();
});

interface Started {
  readonly process: Process;
  readonly instance: string;
}

async function start(
  context: { after(act: () => unknown): void },
  where: 'same netns' | 'other netns',
  ...flags: readonly string[]
): Promise<Started> {
  const instance = newInstance();
  context.after(() => l7egg(host, 'clean', `-instance=${instance}`));
  const args = [`-instance=${instance}`, `-resolver=${RESOLVER}`, ...flags];
  const env = { ...cleanEnvironment(), CONTAINERD_ADDRESS: daemon.socket };
  const process =
    where === 'same netns'
      ? host.spawn(findCli(), args, { env })
      : new Process([findCli(), ...args], env, 'l7egg-cli');
  await process.waitForLine(/^enforcing/, LIMIT_MS);
  return { process, instance };
}

const TRY = `nc -w 2 ADDRESS 80 </dev/null >/dev/null 2>&1 && echo ADDRESS open || echo ADDRESS closed`;
const tryTo = (address: string) => TRY.replaceAll('ADDRESS', address);
const LOOK_UP = `nslookup -type=a ${ALLOWED} ${RESOLVER} >/dev/null 2>&1 && echo known || echo unknown`;
/** Tries both addresses at once when it starts, then looks the allowed name up and tries again. */
const PROBE = [tryTo(ALLOWED_ADDRESS), tryTo(BLOCKED), LOOK_UP, tryTo(ALLOWED_ADDRESS), tryTo(BLOCKED)].join(
  ';',
);
const CONTROLLED = ['closed', 'closed', 'known', 'open', 'closed'];
const FREE = ['open', 'open', 'known', 'open', 'open'];

let made = 0;

interface RunSpec {
  readonly labels?: Readonly<Record<string, string>>;
  readonly mounts?: readonly string[];
  /** The script begins when this enforcer has said that its policy is in force; absent: at once. */
  readonly judgedBy?: Process;
}

/** Runs a container whose output is kept, and gives the last words of its lines once `lines` are there. */
async function run(
  id: string,
  script: string,
  lines: number,
  { labels = {}, mounts = [], judgedBy }: RunSpec = {},
): Promise<{ result: () => Promise<string[]>; out: string }> {
  made += 1;
  const mark = judgedBy?.mark();
  const gate = judgedBy ? 'until [ -e /out/begin ]; do sleep 0.02; done; ' : '';
  const out = join(daemon.directory, `out${made}`);
  mkdirSync(out);
  await daemon.run({
    namespace,
    id,
    labels,
    command: ['sh', '-c', `exec >/out/result 2>&1; ${gate}${script}`],
    options: [
      '--with-ns',
      `network:${host.path}`,
      '--mount',
      `type=bind,src=${out},dst=/out,options=rbind:rw`,
      ...mounts.flatMap((mount) => ['--mount', mount]),
    ],
  });
  await judgedBy?.waitForLine(new RegExp(`container "${id}": .* in force`, 'u'), LIMIT_MS, mark);
  writeFileSync(join(out, 'begin'), '');
  const read = () => (existsSync(join(out, 'result')) ? readFileSync(join(out, 'result'), 'utf8') : '');
  const words = () => read().split('\n').filter(Boolean);
  const result = async () => {
    await until(() => words().length >= lines, { limitMs: LIMIT_MS, what: `${lines} lines of ${id}` });
    return words().map((line) => line.split(' ').at(-1) ?? '');
  };
  return { result, out };
}

describe('a container', () => {
  test('that was audited is controlled by the list of what it did, which names it', async (context) => {
    const audited = await start(context, 'same netns', '-container=listed', '-audit');
    const script = [LOOK_UP, tryTo(ALLOWED_ADDRESS), 'sleep 600'].join(';');
    const before = await run('listed', script, 2, { judgedBy: audited.process });
    assert.deepEqual(await before.result(), ['known', 'open']);
    const done = await l7egg(host, 'suggest', `-instance=${audited.instance}`);
    assert.equal(done.code, 0, done.stderr);
    daemon.end(namespace, 'listed');
    await audited.process.stop();
    const words = wordsOf(done.stdout);
    const expected = ['-container=listed', `-resolver=${RESOLVER}`, `-name=${ALLOWED}`, '-port=80/tcp'];
    assert.deepEqual(words, expected);
    const enforced = await start(context, 'same netns', ...words);
    const after = await run('listed', `${PROBE}; sleep 600`, 5, { judgedBy: enforced.process });
    assert.deepEqual(await after.result(), CONTROLLED);
    daemon.end(namespace, 'listed');
    await enforced.process.stop();
  });
  for (const where of ['same netns', 'other netns'] as const) {
    test(`named by -container, enforcer in the ${where}: controlled, each time it runs; others are not`, async (context) => {
      const { process } = await start(context, where, '-container=mine', `-name=${ALLOWED}`);
      const mine = await run('mine', `${PROBE}; sleep 600`, 5, { judgedBy: process });
      const other = await run('other', PROBE, 5);
      assert.deepEqual(await mine.result(), CONTROLLED);
      assert.deepEqual(await other.result(), FREE);
      daemon.end(namespace, 'mine');
      daemon.end(namespace, 'other');
      const again = await run('mine', `${PROBE}; sleep 600`, 5, { judgedBy: process });
      // What the first one of that name had learned is still leased to its policy.
      assert.deepEqual(await again.result(), ['open', ...CONTROLLED.slice(1)]);
      daemon.end(namespace, 'mine');
    });
  }

  test('is named in events, with the path of its program as it is within', async (context) => {
    const { process } = await start(
      context,
      'same netns',
      '-label=role=named',
      '-cidr=192.0.2.0/24',
      '-log=json',
    );
    await run('named', `${tryTo(BLOCKED)}; sleep 600`, 1, { labels: { role: 'named' }, judgedBy: process });
    const { text } = await process.waitForLine(new RegExp(`"dst":"${BLOCKED}"`, 'u'), LIMIT_MS);
    const { container, exe, comm, cgroup }: LoggedEvent = JSON.parse(text);
    assert.deepEqual([container, exe, comm], ['named', '/bin/busybox', 'nc']);
    assert.match(cgroup ?? '', /\/named(\/|$)/u);
    daemon.end(namespace, 'named');
  });

  test('is judged from its first packet on where that is said', async (context) => {
    const { process } = await start(context, 'same netns', '-label=role=first', '-cidr=192.0.2.0/24');
    let held = 0;
    for (let round = 0; round < 10; round++) {
      const id = `first${round}`;
      const { result } = await run(id, `${tryTo(BLOCKED)}; sleep 600`, 1, { labels: { role: 'first' } });
      const [came] = await result();
      const { text } = await process.waitForLine(new RegExp(`container "${id}": .* in force`, 'u'), LIMIT_MS);
      if (text.includes('before its first packet')) {
        held += 1;
        assert.equal(came, 'closed', text);
      } else {
        assert.match(text, /late: it could not be held before its start/u);
      }
      daemon.end(namespace, id);
    }
    assert.ok(held > 0, 'none of 10 was held');
  });

  test('learns from a resolver on its own loopback whose port is rewritten, as Docker has it', async (context) => {
    const dns = host.spawn('dnsmasq', [
      ...['--no-daemon', '--conf-file=/dev/null', '--no-resolv', '--no-hosts', '--bind-interfaces'],
      ...['--port=5353', '--listen-address=127.0.0.11', `--server=${RESOLVER}`],
    ]);
    context.after(() => dns.stop());
    await until(() => host.listens('udp', 5353), { limitMs: LIMIT_MS, what: 'the resolver on loopback' });
    const table = `table ip docker {
      chain out {
        type nat hook output priority -100;
        ip daddr 127.0.0.11 udp dport 53 dnat to 127.0.0.11:5353
        ip daddr 127.0.0.11 tcp dport 53 dnat to 127.0.0.11:5353
      }
      chain post {
        type nat hook postrouting priority 100;
        ip saddr 127.0.0.11 udp sport 5353 snat to :53
        ip saddr 127.0.0.11 tcp sport 5353 snat to :53
      }
    }`;
    host.must('nft', [table]);
    context.after(() => host.run('nft', ['delete', 'table', 'ip', 'docker']));
    const resolvConf = join(daemon.directory, 'docker-resolv.conf');
    writeFileSync(resolvConf, 'nameserver 127.0.0.11\n');
    const { process } = await start(context, 'other netns', '-container=compose', `-name=${ALLOWED}`);
    const ask = LOOK_UP.replace(RESOLVER, '127.0.0.11');
    const script = [tryTo(ALLOWED_ADDRESS), ask, tryTo(ALLOWED_ADDRESS), tryTo(BLOCKED)].join(';');
    const mounts = [`type=bind,src=${resolvConf},dst=/etc/resolv.conf,options=rbind:ro`];
    const { result } = await run('compose', `${script}; sleep 600`, 4, { mounts, judgedBy: process });
    assert.deepEqual(await result(), ['closed', 'known', 'open', 'closed']);
    daemon.end(namespace, 'compose');
  });

  test('that runs already is controlled from then on, which is said; by label too', async (context) => {
    const loop = `while :; do ${tryTo(BLOCKED)}; sleep 0.2; done`;
    const { result, out } = await run('early', loop, 1, { labels: { app: 'shop' } });
    assert.equal((await result())[0], 'open');
    const { process } = await start(context, 'same netns', '-label=app=shop', `-name=${ALLOWED}`);
    await process.waitForLine(/container "early": label:app=shop in force, late: it ran before us/, LIMIT_MS);
    const size = statSync(join(out, 'result')).size;
    await until(() => readFileSync(join(out, 'result'), 'utf8').slice(size).includes('closed'), {
      limitMs: LIMIT_MS,
      what: 'a refusal',
    });
    process.kill('SIGTERM');
    await process.exited;
    const after = statSync(join(out, 'result')).size;
    await until(() => readFileSync(join(out, 'result'), 'utf8').slice(after).includes('open'), {
      limitMs: LIMIT_MS,
      what: 'the open end',
    });
    daemon.end(namespace, 'early');
  });

  test('stays controlled after kill -9 and over a restart, which knows it again', async (context) => {
    const first = await start(context, 'same netns', '-container=kept', `-name=${ALLOWED}`);
    const { result, out } = await run(
      'kept',
      `${PROBE}; while [ ! -e /out/go ]; do sleep 0.1; done; ${PROBE}; sleep 600`,
      5,
      { judgedBy: first.process },
    );
    assert.deepEqual(await result(), CONTROLLED);
    first.process.kill('SIGKILL');
    await first.process.exited;
    const status = await l7egg(host, 'status', `-instance=${first.instance}`);
    assert.equal(status.code, 0);
    writeFileSync(join(out, 'go'), '');
    await until(() => readFileSync(join(out, 'result'), 'utf8').split('\n').length > 10, {
      limitMs: LIMIT_MS,
      what: 'what it sees with no enforcer',
    });
    assert.deepEqual((await result()).slice(5), ['open', ...CONTROLLED.slice(1)]);
    assert.match(status.stdout, /subject container:kept\n(?:.*\n)*? {2}cgroup .*kept/u);
    const second = host.spawn(
      findCli(),
      [`-instance=${first.instance}`, `-resolver=${RESOLVER}`, '-container=kept', `-name=${ALLOWED}`],
      { env: { CONTAINERD_ADDRESS: daemon.socket } },
    );
    await second.waitForLine(/^enforcing.*adopted/, LIMIT_MS);
    daemon.end(namespace, 'kept');
    await until(
      async () => !(await l7egg(host, 'status', `-instance=${first.instance}`)).stdout.includes('/kept'),
      { limitMs: LIMIT_MS, what: 'the end of the container to be known' },
    );
    second.kill('SIGTERM');
    assert.deepEqual(await second.exited, { code: 0, signal: null });
  });

  test('with a network of its own is shaped there, by the rate of its policy, until the stop', async (context) => {
    const queue = () => host.must('tc', ['qdisc', 'show', 'dev', 'eth0', 'root']).replace(/ refcnt.*/su, '');
    const classes = () => host.must('tc', ['class', 'show', 'dev', 'eth0']);
    const before = queue();
    const flags = ['-container=shaped', '-cidr=0.0.0.0/0', '-rate=2mbit', '-eface=lo'];
    const { process, instance } = await start(context, 'other netns', ...flags);
    const { result } = await run('shaped', `${tryTo(BLOCKED)}; sleep 600`, 1, { judgedBy: process });
    assert.deepEqual(await result(), ['open']);
    assert.match(classes(), /class htb 17e9:1 .*rate 2Mbit/u, process.tail());
    process.kill('SIGKILL');
    await process.exited;
    assert.match(classes(), /rate 2Mbit/u);
    assert.equal((await l7egg(host, 'clean', `-instance=${instance}`)).code, 0);
    assert.equal(queue(), before);
    daemon.end(namespace, 'shaped');
  });

  test('each by its own policy of one file, beside one that nobody named', async (context) => {
    const file = join(daemon.directory, 'two.yaml');
    writeFileSync(
      file,
      ['label:tier=locked', 'container:a', 'container:b']
        .map((subject, index) =>
          [
            'apiVersion: l7egg/v1',
            'kind: EgressPolicy',
            `subject: ${subject}`,
            `rules: [{cidrs: [${['192.0.2.0/24', ALLOWED_ADDRESS, BLOCKED][index]}]}]`,
          ].join('\n'),
        )
        .join('\n---\n'),
    );
    const { process } = await start(context, 'other netns', `-policy=${file}`);
    const both = [tryTo(ALLOWED_ADDRESS), tryTo(BLOCKED)].join(';');
    const results: string[][] = [];
    for (const id of ['a', 'b', 'c']) {
      const labels = id === 'a' ? { tier: 'locked' } : {};
      const spec = id === 'c' ? {} : { judgedBy: process, labels };
      results.push(await (await run(id, `${both}; sleep 600`, 2, spec)).result());
    }
    assert.deepEqual(results, [
      ['open', 'closed'],
      ['closed', 'open'],
      ['open', 'open'],
    ]);
    await process.waitForLine(
      /^container "a" matches label:tier=locked, too, whose policy is NOT in force on it/u,
      LIMIT_MS,
    );
    for (const id of ['a', 'b', 'c']) daemon.end(namespace, id);
  });

  test('with no runtime there: it is said, and nothing is claimed', async (context) => {
    const instance = newInstance();
    context.after(() => l7egg(host, 'clean', `-instance=${instance}`));
    const nowhere = join(daemon.directory, 'none.sock');
    const env = { ...cleanEnvironment(), CONTAINERD_ADDRESS: nowhere, DOCKER_HOST: `unix://${nowhere}` };
    const args = [`-instance=${instance}`, `-resolver=${RESOLVER}`, '-container=web', '-cidr=192.0.2.1'];
    const process = host.spawn(findCli(), args, { env });
    await process.waitForLine(/^enforcing on nothing yet; .*; waiting for container:web$/u, LIMIT_MS);
    await process.waitForLine(/^no container runtime is there yet, one is waited for: looked at /u, LIMIT_MS);
    await process.stop();
  });
});
