/*
 * What `l7egg-cli run` lets a command reach: each kind of rule passes what it names, at the first packet, and the same
 * command without the rule is refused at once. The lab is that of run-lab.ts.
 */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { curl, type FetchedBody } from '../lab/clients.ts';
import { isAtOnce } from './learning-lab.ts';
import { policyText } from './reload-lab.ts';
import { createRunLab, NO, NO_ADDRESS, OK, OK_ADDRESS, type RunLab } from './run-lab.ts';

const NO_NAME = 6;
const REFUSED = 7;
const ROUNDS = 50;
const OTHER_RESOLVER = '192.0.2.54';

describe('what a run lets pass', () => {
  let lab: RunLab;
  before(async () => {
    lab = await createRunLab();
  });
  after(() => lab.close());

  const fetch = (flags: readonly string[], host: string, ...args: string[]): Promise<FetchedBody> =>
    curl(lab.place(flags), `http://${host.includes('::') ? `[${host}]` : host}/`, { args });
  const codeOf = async (flags: readonly string[], host: string, ...args: string[]): Promise<number> =>
    (await fetch(flags, host, ...args)).exitCode;
  /* subject-probe.c as the command of a run. */
  const attempt = (flags: readonly string[], ...words: string[]) =>
    lab.base.attempt(lab.place(flags), ...words);

  test(`a listed name is reached by the first packet, ${ROUNDS} times`, async () => {
    const script = `for i in $(seq ${ROUNDS}); do curl -sS -o /dev/null -m 5 -w '%{time_connect}\\n' http://${OK}/ || exit 99; done`;
    const ran = await lab.run([`-name=${OK}`], ['sh', '-c', script], { timeoutMs: 60_000 });
    assert.equal(ran.code, 0, ran.stderr);
    const times = ran.stdout.trim().split('\n').map(Number);
    assert.equal(times.length, ROUNDS);
    // A SYN that was lost is sent again after a second.
    assert.ok(Math.max(...times) < 0.9, `${Math.max(...times)} s`);
    assert.deepEqual(ran.said, ['nothing was blocked']);
  });

  test('ten fresh runs reach the name as their first act', async () => {
    for (let round = 0; round < 10; round++) {
      const { exitCode, connectMs } = await fetch([`-name=${OK}`], OK, round % 2 ? '-4' : '-6');
      assert.equal(exitCode, 0);
      assert.ok(connectMs < 900, `${connectMs} ms`);
    }
  });

  test('a name that no rule lists is refused at once, at its lookup', async () => {
    assert.equal(await codeOf([`-name=${NO}`], NO), 0);
    await isAtOnce(async () => {
      const { exitCode, totalMs } = await fetch([`-name=${OK}`], NO);
      assert.equal(exitCode, NO_NAME);
      return totalMs;
    });
    assert.equal(await codeOf([`-name=${NO}`], NO), 0);
  });

  for (const family of ['v4', 'v6'] as const) {
    test(`an address that no rule lists is refused at once, ${family}`, async () => {
      const flags = [`-cidr=${OK_ADDRESS[family]}`];
      assert.equal(await codeOf(flags, OK_ADDRESS[family]), 0);
      await isAtOnce(async () => {
        const { exitCode, totalMs } = await fetch(flags, NO_ADDRESS[family]);
        assert.equal(exitCode, REFUSED);
        return totalMs;
      });
      assert.equal(await codeOf([`-cidr=${NO_ADDRESS[family]}`], NO_ADDRESS[family]), 0);
    });
    test(`calls fail with EPERM, ${family}`, async () => {
      const flags = [`-cidr=${OK_ADDRESS[family]}`];
      const number = family.slice(1);
      for (const [word, port] of [
        [`tcp${number}`, '80'],
        [`udp${number}`, '7'],
        [`connected${number}`, '7'],
      ] as const) {
        assert.equal((await attempt(flags, word, OK_ADDRESS[family], port)).came, 'ok', word);
        const { came, ms } = await attempt(flags, word, NO_ADDRESS[family], port);
        assert.equal(came, 'EPERM', word);
        assert.ok(ms < 100, `${word}: ${ms} ms`);
        assert.equal(
          (await attempt([`-cidr=${NO_ADDRESS[family]}`], word, NO_ADDRESS[family], port)).came,
          'ok',
        );
      }
    });
  }

  test('over TCP a listed name is answered, another one refused at once', async () => {
    const dig = (name: string) =>
      lab.run([`-name=${OK}`], ['dig', '+tcp', '+short', '+tries=1', '+time=3', name]);
    assert.equal((await dig(OK)).stdout, `${OK_ADDRESS.v4}\n`);
    const refused = await dig(NO);
    assert.match(refused.stdout, /connection (reset|aborted)/u);
    assert.ok(refused.ms < 2_000, `${refused.ms} ms`);
    assert.match(refused.said.join('\n'), new RegExp(`${NO} +-name=${NO} +\\(dns-strict, 1 lookup by`, 'u'));
  });

  test('what TCP taught is reached', async () => {
    const script = `dig +tcp +short ${OK} && curl -sS -m 3 --resolve ${OK}:80:${OK_ADDRESS.v4} http://${OK}/`;
    const ran = await lab.run([`-name=${OK}`], ['sh', '-c', script]);
    assert.equal(ran.stdout, `${OK_ADDRESS.v4}\nhello from ${OK_ADDRESS.v4}\n`);
  });

  test('-dns=open answers any name, and refuses the connect', async () => {
    assert.equal(await codeOf([`-name=${OK}`], NO), NO_NAME);
    await isAtOnce(async () => {
      const { exitCode, totalMs } = await fetch([`-name=${OK}`, '-dns=open'], NO);
      assert.equal(exitCode, REFUSED);
      return totalMs;
    });
    assert.equal(await codeOf([`-name=${OK}`, '-dns=open'], OK), 0);
  });

  test('a resolver that is not trusted is refused, and answers where it is', async () => {
    const dig = async (...flags: string[]) =>
      (await lab.run([`-name=${OK}`, ...flags], ['dig', `@${OTHER_RESOLVER}`, '+tries=1', '+time=1', OK]))
        .said;
    const remedy = `-resolver=192.0.2.53,${OTHER_RESOLVER}`;
    assert.match((await dig()).join('\n'), new RegExp(`${OTHER_RESOLVER}:53/udp +${remedy} `, 'u'));
    assert.deepEqual(await dig(remedy), ['nothing was blocked']);
  });

  test('-deny-name refuses what -cn lists', async () => {
    assert.equal(await codeOf(['-cn=.example'], NO), 0);
    assert.equal(await codeOf(['-cn=.example', `-deny-name=${NO}`], NO), NO_NAME);
    assert.equal(await codeOf(['-cn=.example', `-deny-name=${NO}`], OK), 0);
  });

  test('-port limits what is allowed', async () => {
    assert.equal(await codeOf([`-name=${OK}`, '-port=80'], OK), 0);
    assert.equal(await codeOf([`-name=${OK}`, '-port=443'], OK), REFUSED);
    assert.equal(await codeOf([`-name=${OK}`, '-port=443'], `${OK}:443`), 0);
  });

  test('-policy: a file decides, with flags beside it', async () => {
    const file = lab.base.policyFile([{ rules: [{ names: [OK], ports: ['80/tcp'] }] }]);
    assert.equal(await codeOf([`-policy=${file}`], OK), 0);
    assert.equal(await codeOf([`-policy=${file}`], `${OK}:443`), REFUSED);
    assert.equal(await codeOf([`-policy=${file}`], NO), NO_NAME);
    assert.equal(await codeOf([`-policy=${file}`, `-name=${NO}`], NO), 0);
  });

  test('-preset: its hosts may be looked up, others not', async () => {
    const script = `getent hosts registry.npmjs.org; getent hosts ${NO}; true`;
    const { said } = await lab.run(['-preset=npm'], ['sh', '-c', script]);
    assert.match(said.join('\n'), new RegExp(NO, 'u'));
    assert.doesNotMatch(said.join('\n'), /npmjs/u);
    assert.equal(await codeOf(['-preset=npm', `-cidr=${NO_ADDRESS.v4}`], NO_ADDRESS.v4), 0);
    assert.equal(await codeOf(['-preset=npm'], NO_ADDRESS.v4), REFUSED);
  });

  test('-audit refuses nothing, and lists what would be', async () => {
    assert.equal(await codeOf([`-name=${OK}`], NO), NO_NAME);
    const ran = await lab.run(
      [`-name=${OK}`, '-audit', '-fail-on-blocked'],
      ['curl', '-sS', '-4', `http://${NO}/`],
    );
    assert.deepEqual([ran.code, ran.stdout], [0, `hello from ${NO_ADDRESS.v4}\n`]);
    assert.match(ran.said[0] ?? '', /^2 targets were let pass by audit/u);
    const lines = ran.said.slice(1);
    assert.ok(
      lines.every((line) => line.includes(`  -name=${NO}  (`)),
      lines.join('\n'),
    );
  });

  test('-inbound: a server inside is reached from outside only with it', async () => {
    const reach = async (...flags: string[]): Promise<number> => {
      const server = ['socat', 'TCP4-LISTEN:8090,reuseaddr', 'SYSTEM:echo inside'];
      const { process } = lab.start([`-name=${OK}`, ...flags], ['timeout', '5', ...server]);
      await lab.base.lab.host.runAsync('sh', [
        '-c',
        'until ss -Hltn "sport = :8090" | grep -q .; do sleep 0.02; done',
      ]);
      const done = await lab.base.lab.web.runAsync('timeout', [
        '1.5',
        'socat',
        '-u',
        'TCP4:192.0.2.2:8090',
        'STDOUT',
      ]);
      await process.stop();
      return done.code;
    };
    assert.equal(await reach('-inbound=8090'), 0);
    assert.notEqual(await reach(), 0);
    assert.notEqual(await reach('-inbound=8091'), 0);
    assert.equal(await reach('-inbound=8090'), 0);
  });

  test('-rate: its class is there while the command runs, and gone with it', async () => {
    const show = (kind: string) => lab.base.host.must('tc', [kind, 'show', 'dev', 'eth0']);
    const before = show('qdisc');
    const flags = [`-cidr=${OK_ADDRESS.v4}`, '-rate=1mbit'];
    const { process, instance } = lab.start(flags, ['sh', '-c', 'echo up; exec sleep 100']);
    await process.waitForLine(/^up$/u, 10_000);
    assert.match(show('class'), /rate 1Mbit/u);
    await process.stop();
    assert.equal(show('class'), '');
    assert.equal(show('qdisc'), before);
    lab.hasLeftNothing(instance);
  });

  test("-rate leaves somebody else's qdisc as it is, and says so", async (context) => {
    const qdisc = () => lab.base.host.must('tc', ['qdisc', 'show', 'dev', 'eth0']);
    lab.base.host.must('tc', ['qdisc', 'add', 'dev', 'eth0', 'root', 'handle', '9:', 'pfifo', 'limit', '77']);
    context.after(() => lab.base.host.must('tc', ['qdisc', 'del', 'dev', 'eth0', 'root']));
    const before = qdisc();
    const marker = join(lab.base.host.directory, 'rate-started');
    const ran = await lab.run([`-cidr=${OK_ADDRESS.v4}`, '-rate=1mbit'], ['touch', marker]);
    assert.equal(ran.code, 1);
    assert.match(ran.stderr, /qdisc/u);
    assert.equal(qdisc(), before);
  });

  const badFiles = [
    {
      what: 'that names a subject',
      text: policyText(["{names: ['a.example']}"], ['subject: cgroup:/x']),
      says: /names a subject: for run it is the command, so leave "subject" out/u,
    },
    {
      what: 'with an error',
      text: policyText(["{nam: ['a.example']}"]),
      says: /^.*bad-1\.yaml:5:\d+: .*"nam"/mu,
    },
  ];
  for (const [index, { what, text, says }] of badFiles.entries()) {
    test(`a policy file ${what} is exit code 2, and nothing is started`, async () => {
      const file = join(lab.base.host.directory, `bad-${index}.yaml`);
      writeFileSync(file, text);
      const ran = await lab.run([`-policy=${file}`], ['echo', 'started']);
      assert.deepEqual([ran.code, ran.stdout], [2, '']);
      assert.match(ran.stderr, says);
    });
  }
});
