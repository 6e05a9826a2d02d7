/*
 * The life of an enforcer of subjects: status, stop, kill, restart, and cgroups that come and go. The lab is that of
 * subject-lab.ts; A may reach 198.51.100.1 and names under .ok.example and .fresh.example.
 */
import assert from 'node:assert/strict';
import { mkdirSync, rmdirSync } from 'node:fs';
import { dirname } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { Pins } from '../../src/datapath/pins.ts';
import { SUBJECT_PROGRAMS } from '../../src/datapath/subject-hooks.ts';
import { BpfLink } from '../../src/libbpf/link.ts';
import { connectAtFirstPacket } from '../lab/clients.ts';
import type { RunResult } from '../lab/command.ts';
import { type FreshNames, freshRecords } from '../lab/first-packet.ts';
import { openEchoFlow } from './learning-flow.ts';
import { isRefused, passes } from './learning-lab.ts';
import { filesOf, isLoaded, killNow, l7egg, newInstance, pinnedPrograms } from './robust-lab.ts';
import type { Traffic, TrafficReport } from './robust-traffic.ts';
import { createSubjectLab, RESOLVER, type SubjectLab, scriptPath } from './subject-lab.ts';

const KILLS = 20;
const LIMIT_MS = 5_000;
const OK = '198.51.100.1';
const NO = '203.0.113.66';
const ECHO = '198.51.100.9';
const NAMES: FreshNames = { suffix: 'fresh.example', nonce: 'k', count: 4_000, family: 6 };
const ALLOW = [`-cidr=${OK}`, `-cidr=${ECHO}`, '-cn=.ok.example', '-cn=.fresh.example'];

describe('an enforcer of subjects', () => {
  let lab: SubjectLab;
  before(async () => {
    lab = await createSubjectLab(freshRecords(NAMES));
  });
  after(() => lab.close());

  const isOpen = async (place = lab.a) => (await lab.came(place, 'tcp4', NO, '80')) === 'ok';
  const status = (instance: string): Promise<RunResult> => l7egg(lab.host, 'status', `-instance=${instance}`);

  test('status: 0 and the cgroup while it is in force, 3 before and after', async (context) => {
    const instance = newInstance();
    assert.equal((await status(instance)).code, 3);
    const enforcer = await lab.judge(context, [lab.a, lab.b], ALLOW, { instance });
    const said = await status(instance);
    assert.equal(said.code, 0, said.stdout);
    assert.match(said.stdout, /^enforcing$/mu);
    for (const { path, directory } of [lab.a, lab.b]) {
      assert.match(said.stdout, new RegExp(`^subject cgroup:${path}$`, 'mu'));
      assert.match(said.stdout, new RegExp(`^ +cgroup +${directory}$`, 'mu'));
    }
    const json = JSON.parse((await l7egg(lab.host, 'status', '-json', `-instance=${instance}`)).stdout);
    assert.equal(json.enforcing, true);
    assert.deepEqual(
      json.subjects.map(({ subject }: { subject: string }) => subject),
      [`cgroup:${lab.a.path}`, `cgroup:${lab.b.path}`],
    );
    await enforcer.stop();
    assert.equal((await status(instance)).code, 3);
  });

  test('status: NOT ATTACHED and 3 when somebody took a hook off; the next start puts it back', async (context) => {
    const instance = newInstance();
    const enforcer = await lab.judge(context, [lab.a], ALLOW, { instance });
    for (const hook of ['socket', 'enter', 'send4', 'send6', 'call4', 'call6', 'leave']) {
      const running = hook === 'socket' ? enforcer : await lab.judge(context, [lab.a], ALLOW, { instance });
      assert.equal((await status(instance)).code, 0, hook);
      {
        using link = BpfLink.openPinned(new Pins(instance).subjectLink(lab.a.id, hook));
        link?.detach();
      }
      const said = await status(instance);
      assert.equal(said.code, 3, hook);
      assert.match(said.stdout, /NOT ATTACHED/, hook);
      await killNow(running);
    }
    const last = await lab.judge(context, [lab.a], ALLOW, { instance });
    assert.equal((await status(instance)).code, 0);
    assert.equal(await isOpen(), false);
    await last.stop();
    assert.equal(await isOpen(), true);
  });

  for (const how of ['SIGTERM', 'stop', 'clean', 'kill -9 and stop', 'kill -9 and clean']) {
    test(`${how} leaves nothing`, async (context) => {
      const instance = newInstance();
      const enforcer = await lab.judge(context, [lab.a, lab.b], ALLOW, { instance });
      const programs = pinnedPrograms(instance);
      assert.equal(programs.length, 2 * SUBJECT_PROGRAMS.length);
      assert.ok(programs.every(isLoaded));
      assert.equal(await isOpen(), false);
      if (how.startsWith('kill')) await killNow(enforcer);
      if (how === 'SIGTERM') await enforcer.stop();
      else {
        const done = await l7egg(lab.host, how.split(' ').at(-1) ?? '', `-instance=${instance}`);
        assert.equal(done.code, 0, done.stderr);
      }
      assert.deepEqual(filesOf(instance), []);
      assert.deepEqual(programs.filter(isLoaded), []);
      assert.equal(await isOpen(), true);
      assert.equal(await isOpen(lab.b), true);
    });
  }

  test('kill -9: all stays in force, and learns, with no process; the next start adopts it', async (context) => {
    const instance = newInstance();
    const first = await lab.judge(context, [lab.a], ALLOW, { instance });
    await killNow(first);
    const said = await status(instance);
    assert.equal(said.code, 0);
    assert.match(said.stdout, /process +none/);
    assert.equal(await isOpen(), false);
    await passes(lab.a, 'one.ok.example');
    const second = await lab.judge(context, [lab.a], ALLOW, { instance });
    assert.match(second.remarks().join('\n'), /adopted what was in force/);
    await second.stop();
    assert.equal(await isOpen(), true);
  });

  test(`${KILLS} times kill -9 and start: traffic of the subject does not notice`, async (context) => {
    const instance = newInstance();
    const plan: Traffic = {
      ...NAMES,
      names: NAMES.count,
      resolver: RESOLVER.v4,
      blocked: NO,
      echo: ECHO,
      refusal: 'EPERM',
    };
    let enforcer = await lab.judge(context, [lab.a], ALLOW, { instance });
    const client = lab.a.spawn(process.execPath, [scriptPath('robust-client'), JSON.stringify(plan)]);
    await client.waitForLine(/^going$/, 5_000);
    for (let killed = 0; killed < KILLS; killed++) {
      await killNow(enforcer);
      enforcer = await lab.judge(context, [lab.a], ALLOW, { instance });
    }
    client.kill('SIGTERM');
    const { text } = await client.waitForLine(/^\{/, 5_000);
    await enforcer.stop();
    const report: TrafficReport = JSON.parse(text);
    assert.deepEqual(report.failures, []);
    assert.equal(report.failed, 0);
    assert.equal(report.synRetransmits, 0, 'no first packet was lost');
    assert.ok(Math.min(report.fresh, report.blocked, report.echoed) >= KILLS, text);
  });

  test('a restart with other flags withdraws what they do not have, and ends its flows', async (context) => {
    const instance = newInstance();
    const first = await lab.judge(context, [lab.a], [...ALLOW, `-cidr=${NO}`], { instance });
    assert.equal(await isOpen(), true);
    using withdrawn = await openEchoFlow(lab.host, `TCP4:${NO}:7`, lab.a);
    using kept = await openEchoFlow(lab.host, `TCP4:${OK}:7`, lab.a);
    await withdrawn.echo('one');
    await passes(lab.a, 'one.ok.example');
    await killNow(first);
    await withdrawn.echo('two');
    const second = await lab.judge(context, [lab.a], [`-cidr=${OK}`], { instance });
    assert.equal(await isOpen(), false);
    assert.equal(await lab.came(lab.a, 'tcp4', OK, '80'), 'ok');
    await isRefused(lab.a, 'two.ok.example');
    await withdrawn.untilClosed('three');
    await kept.echo('three');
    await second.stop();
  });

  test('connections from before the subject was judged: those that a rule allows go on, others end at once', async (context) => {
    using allowed = await openEchoFlow(lab.host, `TCP4:${OK}:7`, lab.a);
    using refused = await openEchoFlow(lab.host, `TCP4:${NO}:7`, lab.a);
    using refused6 = await openEchoFlow(lab.host, 'TCP6:[2001:db8:2::66]:7', lab.a);
    using others = await openEchoFlow(lab.host, `TCP4:${NO}:7`, lab.b);
    await lab.judge(context, [lab.a], ALLOW);
    await allowed.echo('one');
    assert.ok((await refused.untilClosed('one')) < 1_000);
    assert.ok((await refused6.untilClosed('one')) < 1_000);
    await others.echo('one');
    await allowed.echo('two');
  });

  test('a restart for another cgroup takes the policy off the first', async (context) => {
    const instance = newInstance();
    const first = await lab.judge(context, [lab.a], ALLOW, { instance });
    assert.deepEqual([await isOpen(lab.a), await isOpen(lab.b)], [false, true]);
    await killNow(first);
    const second = await lab.judge(context, [lab.b], ALLOW, { instance });
    assert.deepEqual([await isOpen(lab.a), await isOpen(lab.b)], [true, false]);
    await killNow(second);
    const both = await lab.judge(context, [lab.a, lab.b], ALLOW, { instance });
    assert.deepEqual([await isOpen(lab.a), await isOpen(lab.b)], [false, false]);
    await both.stop();
    assert.deepEqual([await isOpen(lab.a), await isOpen(lab.b)], [true, true]);
  });

  test('a cgroup that is removed meanwhile: status says so, stop and the next start work', async (context) => {
    const instance = newInstance();
    const gone = lab.a.below('gone');
    const first = await lab.judge(context, [gone, lab.b], ALLOW, { instance });
    assert.equal(await isOpen(gone), false);
    rmdirSync(gone.directory);
    await first.process.waitForLine(/is gone: it will be judged again when it returns/, LIMIT_MS);
    assert.match((await status(instance)).stdout, /^ +cgroup +none there: waited for$/mu);
    const returned = lab.a.below('gone');
    await first.process.waitForLine(/is there: judged by/, LIMIT_MS);
    assert.equal(await isOpen(returned), false);
    rmdirSync(returned.directory);
    assert.equal(await isOpen(lab.b), false, 'the other one is judged still');
    await killNow(first);
    const failed = await l7egg(
      lab.host,
      '-mode=cgroup',
      `-cgroup=${gone.path}`,
      ...ALLOW,
      `-instance=${instance}`,
    );
    assert.equal(failed.code, 2);
    assert.equal(await isOpen(lab.b), false, 'what was in force stays');
    const again = lab.a.below('gone');
    const second = await lab.judge(context, [again, lab.b], ALLOW, { instance });
    assert.equal((await status(instance)).code, 0);
    assert.deepEqual([await isOpen(again), await isOpen(lab.b)], [false, false]);
    rmdirSync(again.directory);
    await second.stop();
    assert.deepEqual(filesOf(instance), []);
    assert.equal(await isOpen(lab.b), true);
  });

  test('a cgroup that is made again, as at the restart of a unit, is judged again at once', async (context) => {
    const instance = newInstance();
    const unit = lab.a.below('unit').below('inner');
    const enforcer = await lab.judge(context, [unit, lab.b], ALLOW, { instance });
    for (let round = 0; round < 5; round++) {
      const first = unit.id;
      rmdirSync(unit.directory);
      // Every other time what it lay in goes, too.
      if (round % 2 === 1) rmdirSync(dirname(unit.directory));
      if (round % 2 === 1)
        await enforcer.process.waitForLine(/inner" is gone: it will be judged again/, LIMIT_MS);
      const after = enforcer.process.mark();
      mkdirSync(unit.directory, { recursive: true });
      assert.notEqual(unit.id, first);
      await enforcer.process.waitForLine(/inner" is there: judged by/, LIMIT_MS, after);
      assert.equal(await isOpen(unit), false);
      assert.equal(await lab.came(unit, 'tcp4', OK, '80'), 'ok');
      await passes(unit, 'one.ok.example');
      assert.equal(await isOpen(lab.b), false, 'the other one is judged all the time');
      assert.equal((await status(instance)).code, 0);
      assert.equal(
        pinnedPrograms(instance).length,
        2 * SUBJECT_PROGRAMS.length,
        'the hooks of the one before are gone',
      );
    }
    await killNow(enforcer);
    const next = await lab.judge(context, [unit, lab.b], ALLOW, { instance });
    assert.equal(await isOpen(unit), false);
    await next.stop();
    assert.deepEqual(filesOf(instance), []);
    assert.equal(await isOpen(unit), true);
  });

  test('what is no cgroup to judge is an error of exit code 2 that quotes it', async () => {
    const own = lab.a.directory;
    for (const [cgroups, wanted] of [
      [['/no-such-cgroup'], /cgroup "\/no-such-cgroup" is not there/],
      [['unit:no-such-unit.service'], /unit "no-such-unit.service" has no cgroup/],
      [['pid:9999999'], /process 9999999 is not there/],
      [['/'], /"\/" is the root of all cgroups/],
      [[lab.a.path, own], /are the same cgroup/],
      [[lab.a.path, `pid:${lab.a.spawn('sleep', ['30']).pid}`], /./],
      [['relative/path'], /"relative\/path" is not legal/],
      [['/../x'], /"\/\.\.\/x" is not legal/],
    ] as const) {
      const instance = newInstance();
      const flags = cgroups.map((each) => `-cgroup=${each}`);
      const failed = await l7egg(lab.host, '-mode=cgroup', ...flags, ...ALLOW, `-instance=${instance}`);
      assert.equal(failed.code, 2, `${cgroups}: ${failed.stderr}`);
      assert.match(failed.stderr, wanted);
      assert.deepEqual(filesOf(instance), []);
    }
  });

  test('named by the id of a process in it', async (context) => {
    const inside = lab.a.spawn('sleep', ['60']);
    const cgroup = `pid:${inside.pid}`;
    const enforcer = await lab.enforce(context, ['-mode=cgroup', `-cgroup=${cgroup}`, ...ALLOW]);
    assert.deepEqual([await isOpen(lab.a), await isOpen(lab.b)], [false, true]);
    await enforcer.stop();
    await inside.stop();
  });

  test('two enforcers on one cgroup: both have to allow, and each goes without the other', async (context) => {
    const first = await lab.judge(context, [lab.a], [`-cidr=${OK},198.51.100.2`]);
    const second = await lab.judge(context, [lab.a], [`-cidr=${OK},198.51.100.3`, '-cn=.fresh.example']);
    const came = (n: number) => lab.came(lab.a, 'tcp4', `198.51.100.${n}`, '80');
    assert.deepEqual([await came(1), await came(2), await came(3)], ['ok', 'EPERM', 'EPERM']);
    await first.stop();
    assert.deepEqual([await came(1), await came(2), await came(3)], ['ok', 'EPERM', 'ok']);
    const plan = { ...NAMES, count: 50, resolver: RESOLVER.v4, resolverPort: 53 };
    const { failures } = await connectAtFirstPacket(lab.a, {
      ...plan,
      parallel: 4,
      connectPort: 80,
      limitMs: 5_000,
    });
    assert.deepEqual(failures, []);
    const third = await lab.judge(context, [lab.a], [`-cidr=${OK}`]);
    assert.deepEqual([await came(1), await came(2), await came(3)], ['ok', 'EPERM', 'EPERM']);
    await second.stop();
    await third.stop();
    assert.deepEqual([await came(1), await came(2), await came(3)], ['ok', 'ok', 'ok']);
  });
});
