/*
 * Lists for subjects, each with what it did by itself: cgroups, the command of a run, servers. The lab is that of
 * run-lab.ts.
 */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { findCli } from '../lab/checkout.ts';
import { addressRecords } from '../lab/records.ts';
import { RESOLVERS } from '../lab/topology.ts';
import { startEnforcer } from './enforcer.ts';
import { l7egg, newInstance, startFor } from './robust-lab.ts';
import { createRunLab, NO, NO_ADDRESS, OK, OK_ADDRESS, type RunLab } from './run-lab.ts';
import type { SubjectLab } from './subject-lab.ts';
import { FLAGS, fileOf, gets, suggest, suggestRaw, wordsOf } from './suggest-lab.ts';

/** Two names of one address. */
const TWINS = ['one.twin.example', 'two.twin.example'] as const;
/** More names of one address than an enforcer keeps of it. */
const CROWD = Array.from({ length: 12 }, (_, index) => `n${10 + index}.crowd.example`);
const SERVED = '8080';

describe('a list', () => {
  let run: RunLab;
  let lab: SubjectLab;
  before(async () => {
    run = await createRunLab([
      ...TWINS.flatMap((name) => addressRecords(name, ['198.51.100.200'])),
      ...CROWD.flatMap((name) => addressRecords(name, ['198.51.100.201'])),
    ]);
    lab = run.base;
  });
  after(() => run.close());

  test('of several subjects has what each did by itself, and is enforced for each', async (context) => {
    const { a, b } = lab;
    const documents = [a, b].map(({ path }, index) => ({
      name: `p${index}`,
      subject: `cgroup:${path}`,
      rules: [],
    }));
    const auditing = await lab.judgeBy(context, documents, ['-audit']);
    assert.equal(await gets(a, `http://${OK}/`), true);
    // Somebody else's lookup does not teach this one: it has to be the address.
    assert.equal(await gets(b, `http://${OK_ADDRESS.v4}/`), true);
    assert.equal(await gets(b, `http://${NO}:443/`), true);
    const list = await suggest(lab.host, auditing, '-format=l7egg');
    const words = wordsOf(await suggest(lab.host, auditing, `-subject=cgroup:${b.path}`));
    const unsaid = await suggestRaw(lab.host, `-instance=${auditing.instance}`);
    await auditing.stop();

    assert.deepEqual([unsaid.code, unsaid.stdout], [2, '']);
    assert.match(
      unsaid.stderr,
      new RegExp(`say which with -subject, cgroup:${a.path} or cgroup:${b.path} is legal`, 'u'),
    );
    assert.deepEqual(
      words.filter((word) => !word.startsWith('-resolver=')),
      [`-cgroup=${b.path}`, `-name=${NO}`, `-cidr=${OK_ADDRESS.v4}`, '-port=80/tcp,443/tcp'],
    );
    const enforcer = await startFor(context, lab.host, [
      `-resolver=${RESOLVERS[0].v4}`,
      `-policy=${fileOf(lab.host, list)}`,
    ]);
    assert.equal(await gets(a, `http://${OK}/`), true);
    assert.equal(await gets(a, `http://${NO}:443/`), false);
    assert.equal(await gets(b, `http://${OK_ADDRESS.v4}/`), true);
    assert.equal(await gets(b, `http://${NO}:443/`), true);
    assert.equal(await gets(b, `http://${OK_ADDRESS.v4}:443/`), false);
    await enforcer.stop();

    const alone = await startFor(context, lab.host, words);
    assert.equal(await gets(b, `http://${NO}:443/`), true);
    assert.equal(await gets(b, `http://${NO_ADDRESS.v4}:8443/`), false);
    assert.equal(await gets(a, `http://${NO_ADDRESS.v4}:8443/`), true);
    await alone.stop();
  });

  test('of a command that runs is given while it runs, and lets another run pass', async () => {
    const { process, instance } = run.start(
      ['-audit'],
      [
        'sh',
        '-c',
        `curl -s -m 5 http://${OK}/ && curl -s -m 5 http://${NO_ADDRESS.v4}:8443/ && echo did && exec sleep 60`,
      ],
    );
    await process.waitForLine(/^did$/u, 20_000);
    const done = await suggestRaw(lab.host, `-instance=${instance}`);
    const file = await suggestRaw(lab.host, `-instance=${instance}`, '-format=l7egg');
    process.kill('SIGTERM');
    await process.exited;
    assert.deepEqual([done.code, done.stderr, file.code], [0, '', 0]);
    const words = wordsOf(done.stdout);
    assert.deepEqual(words, [
      '-dns=strict',
      `-name=${OK}`,
      `-cidr=${NO_ADDRESS.v4}`,
      '-port=80/tcp,8443/tcp',
    ]);
    for (const flags of [words, [`-policy=${fileOf(lab.host, file.stdout)}`]]) {
      assert.equal(await gets(run.place(flags), `http://${OK}/`), true);
      assert.equal(await gets(run.place(flags), `http://${NO_ADDRESS.v4}:8443/`), true);
      assert.equal(await gets(run.place(flags), `http://${NO}/`), false);
      assert.equal(await gets(run.place(flags), `http://${NO_ADDRESS.v4}:443/`), false);
    }
  });

  test('of a server has the ports on which it is called', async (context) => {
    const { a } = lab;
    const calls = async () => {
      const done = await lab.lab.web.runAsync('socat', ['-t1', '-T1', '-', `TCP4:192.0.2.2:${SERVED}`], {
        input: 'hello\n',
      });
      return done.stdout === 'hello\n';
    };
    const server = a.spawn('socat', [`TCP4-LISTEN:${SERVED},reuseaddr,fork`, 'PIPE']);
    const auditing = await lab.judge(context, [a], ['-audit']);
    assert.equal(await gets(a, `http://${OK}/`), true);
    assert.equal(await calls(), true);
    const words = wordsOf(await suggest(lab.host, auditing));
    await auditing.stop();
    assert.ok(words.includes(`-inbound=${SERVED}/tcp`), words.join(' '));
    assert.ok(!words.some((word) => word.startsWith('-cidr=')), words.join(' '));
    const without = await startFor(
      context,
      lab.host,
      words.filter((word) => !word.startsWith('-inbound')),
    );
    assert.equal(await calls(), false);
    await without.stop();
    const enforcer = await startFor(context, lab.host, words);
    assert.equal(await calls(), true);
    await enforcer.stop();
    await server.stop();
  });

  test('has both names of one address that one program called at once', async (context) => {
    const auditing = await startEnforcer(lab.host, [...FLAGS, '-audit']);
    const urls = TWINS.map((name) => `http://${name}/`);
    const both = await lab.host.runAsync('curl', ['-sS', '-m', '5', '--no-keepalive', ...urls]);
    assert.equal(both.code, 0, both.stderr);
    const words = wordsOf(await suggest(lab.host, auditing));
    await auditing.stop();
    assert.deepEqual(words.slice(2), [...TWINS.map((name) => `-name=${name}`), '-port=80/tcp']);
    const enforcer = await startFor(context, lab.host, words);
    assert.equal(await gets(lab.host, urls[1] ?? ''), true);
    await enforcer.stop();
  });

  test('has every name of an address that more names lead to than are kept', async () => {
    const auditing = await startEnforcer(lab.host, [...FLAGS, '-audit']);
    const urls = CROWD.map((name) => `http://${name}/`);
    const all = await lab.host.runAsync('curl', ['-sS', '-m', '10', '--no-keepalive', ...urls]);
    assert.equal(all.code, 0, all.stderr);
    const list = await suggest(lab.host, auditing);
    await auditing.stop();
    assert.deepEqual(wordsOf(list).slice(2), [...CROWD.map((name) => `-name=${name}`), '-port=80/tcp']);
    assert.doesNotMatch(list, /missing/u);
  });

  test('of a call from a low port to a high one has its address, and opens no port for calls from outside', async () => {
    const auditing = await startEnforcer(lab.host, [...FLAGS, '-audit', '-inbound=22/tcp']);
    lab.host.run('socat', ['-T1', '-', `TCP4:${NO_ADDRESS.v4}:40001,sourceport=1023,connect-timeout=1`]);
    const list = await suggest(lab.host, auditing);
    await auditing.stop();
    assert.deepEqual(wordsOf(list).slice(2), [
      `-cidr=${NO_ADDRESS.v4}`,
      '-inbound=22/tcp',
      '-port=40001/tcp',
    ]);
    assert.match(list, /was called from port 1023\/tcp, where no server was found: /u);
  });

  for (const shell of ['sh', 'bash'])
    test(`as a file stands behind the command in ${shell}`, async (context) => {
      const auditing = await startEnforcer(lab.host, [...FLAGS, '-audit']);
      assert.equal(await gets(lab.host, `http://${OK}/`), true);
      const path = fileOf(lab.host, await suggest(lab.host, auditing));
      await auditing.stop();
      const instance = newInstance();
      context.after(() => l7egg(lab.host, 'clean', `-instance=${instance}`));
      const script = `eval "exec ${findCli()} -instance=${instance} $(cat ${path})"`;
      const enforcer = lab.host.spawn(shell, ['-c', script]);
      await enforcer.waitForLine(/^enforcing on eth0/u, 15_000);
      assert.equal(await gets(lab.host, `http://${OK}/`), true);
      assert.equal(await gets(lab.host, `http://${NO}/`), false);
      enforcer.kill('SIGTERM');
      assert.equal((await enforcer.exited).code, 0);
    });

  test('of what was seen lately leaves out the rest, and nothing seen is a remark', async () => {
    const auditing = await startEnforcer(lab.host, [...FLAGS, '-audit', `-netns=${lab.host.path}`]);
    const nothing = await suggest(lab.host, auditing, '-since=2099-01-01T00:00:00Z');
    assert.equal(await gets(lab.host, `http://${OK_ADDRESS.v4}/`), true);
    const between = new Date().toISOString();
    assert.equal(await gets(lab.host, `http://${NO_ADDRESS.v4}:443/`), true);
    const late = wordsOf(await suggest(lab.host, auditing, `-since=${between}`));
    const all = wordsOf(await suggest(lab.host, auditing, '-since=1h'));
    await auditing.stop();
    assert.match(nothing, /^# nothing that a list could allow was seen by instance /u);
    assert.ok(
      nothing
        .trimEnd()
        .split('\n')
        .every((line) => line.startsWith('# ')),
      nothing,
    );
    assert.deepEqual(late.slice(0, 3), [`-netns=${lab.host.path}`, ...FLAGS]);
    assert.deepEqual(late.slice(3), [`-cidr=${NO_ADDRESS.v4}`, '-port=443/tcp']);
    assert.deepEqual(all.slice(3), [
      `-cidr=${OK_ADDRESS.v4}`,
      `-cidr=${NO_ADDRESS.v4}`,
      '-port=80/tcp,443/tcp',
    ]);
  });

  test('of an instance that does not run is exit code 3 and a sentence', async () => {
    const { code, stdout, stderr } = await suggestRaw(lab.host, `-instance=${newInstance()}`);
    assert.deepEqual([code, stdout], [3, '']);
    assert.match(stderr, /^instance "t\d+-r\d+": no process runs that could tell what it saw/u);
  });
  for (const [flag, message] of [
    ['-format=yaml', 'flag -format has the value "yaml": flags or l7egg or cilium or networkpolicy is legal'],
    ['-since=yesterday', 'since "yesterday" is no time'],
    ['-subject=me', 'subject "me" is not known'],
    ['-audit', 'flag -audit is not for suggest'],
  ] as const)
    test(`with ${flag} is exit code 2`, async () => {
      const { code, stdout, stderr } = await l7egg(lab.host, 'suggest', flag);
      assert.deepEqual([code, stdout], [2, '']);
      assert.ok(stderr.includes(message), stderr);
    });
});
