/*
 * Reload when it is asked for, by SIGHUP and by the command. The lab is that of reload-lab.ts.
 */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { after, before, describe, test } from 'node:test';
import { findCli } from '../lab/checkout.ts';
import type { Namespace } from '../lab/namespace.ts';
import type { Lab } from '../lab/topology.ts';
import { until } from '../lab/wait.ts';
import {
  ANOTHER,
  allow,
  epochOf,
  makeDirectory,
  mustReload,
  ONE,
  policyText,
  reload,
  replaceFile,
  startByFiles,
  statusOf,
  THIRD,
  untilReloaded,
} from './reload-lab.ts';
import { chains, createRobustLab, filesOf, isOpen, l7egg, newInstance } from './robust-lab.ts';

const LIMIT_MS = 10_000;

let lab: Lab;
let host: Namespace;

before(async () => {
  lab = await createRobustLab();
  host = lab.host;
});
after(() => lab.close());

/** A policy file with one rule for ONE, in a directory of its own. */
function writeFirst(): string {
  const path = `${makeDirectory(host)}/policy.yaml`;
  writeFileSync(path, policyText([allow('one', ONE)]));
  return path;
}

test('SIGHUP puts in force what the file says now', async (context) => {
  const file = writeFirst();
  const enforcer = await startByFiles(context, host, [file]);
  assert.deepEqual([await isOpen(host, ONE), await isOpen(host, ANOTHER)], [true, false]);
  writeFileSync(file, policyText([allow('another', ANOTHER)]));
  const mark = enforcer.process.mark();
  enforcer.process.kill('SIGHUP');
  await untilReloaded(enforcer, mark);
  assert.deepEqual([await isOpen(host, ONE), await isOpen(host, ANOTHER)], [false, true]);
});

describe('l7egg-cli reload', () => {
  test('prints what changed, and exits with 0 once it is in force', async (context) => {
    const file = writeFirst();
    const enforcer = await startByFiles(context, host, [file]);
    writeFileSync(file, policyText([allow('another', ANOTHER)], ['dns: strict']));
    const { code, stdout, stderr } = await reload(host, enforcer);
    assert.deepEqual([await isOpen(host, ONE), await isOpen(host, ANOTHER)], [false, true]);
    assert.equal(code, 0);
    assert.equal(stderr, '');
    assert.deepEqual(stdout.trimEnd().split('\n'), [
      'reloaded',
      '- dns open',
      `- allow ${ONE}/32 (one)`,
      '+ dns strict',
      `+ allow ${ANOTHER}/32 (another)`,
    ]);
  });

  test('of an equal file changes nothing, not even the epoch', async (context) => {
    const file = writeFirst();
    const enforcer = await startByFiles(context, host, [file]);
    const before = epochOf(enforcer);
    replaceFile(file, `# only a remark is new\n${policyText([allow('one', ONE)])}`);
    assert.equal(await mustReload(host, enforcer), 'reloaded: the policy is the same\n');
    assert.equal(epochOf(enforcer), before);
  });

  test('of a bad file prints FILE:LINE:COL, exits with 2, and the old one stays', async (context) => {
    const file = writeFirst();
    const enforcer = await startByFiles(context, host, [file]);
    const before = epochOf(enforcer);
    writeFileSync(file, policyText([allow('another', ANOTHER), allow('bad', '300.1.1.1')]));
    const { code, stdout, stderr } = await reload(host, enforcer);
    assert.equal(code, 2);
    assert.equal(stdout, '');
    assert.match(stderr, /^NOT reloaded, what was in force stays\n/);
    assert.ok(stderr.includes(`${file}:6:25: `), stderr);
    assert.ok(stderr.includes('300.1.1.1'), stderr);
    assert.deepEqual([await isOpen(host, ONE), await isOpen(host, ANOTHER)], [true, false]);
    assert.equal(epochOf(enforcer), before);
  });

  test('exits with 3 when nothing runs', async () => {
    const { code, stdout, stderr } = await l7egg(host, 'reload', `-instance=${newInstance()}`);
    assert.equal(code, 3);
    assert.equal(stdout, '');
    assert.match(stderr, /no process to reload/);
  });

  test('ten at a time are all answered, and the last policy is in force', async (context) => {
    const file = writeFirst();
    const enforcer = await startByFiles(context, host, [file]);
    const asked: ReturnType<typeof reload>[] = [];
    for (let round = 0; round < 10; round++) {
      replaceFile(file, policyText([allow(`round${round}`, `198.51.100.${10 + round}`)]));
      asked.push(reload(host, enforcer));
    }
    const answers = await Promise.all(asked);
    assert.deepEqual(
      answers.map(({ code }) => code),
      answers.map(() => 0),
    );
    assert.deepEqual(
      (await statusOf(host, enforcer)).rules.map(({ rule }) => rule),
      ['round9'],
    );
  });

  test('is of what the file held when it was asked, though another reload was going on', async (context) => {
    const file = writeFirst();
    const enforcer = await startByFiles(context, host, [file]);
    for (let round = 0; round < 10; round++) {
      const mark = enforcer.process.mark();
      enforcer.process.kill('SIGHUP');
      replaceFile(file, policyText([allow(`round${round}`, `198.51.100.${10 + round}`)]));
      await mustReload(host, enforcer);
      assert.deepEqual(
        (await statusOf(host, enforcer)).rules.map(({ rule }) => rule),
        [`round${round}`],
        `round ${round}\n${enforcer.process.lines.slice(mark).map(({ text }) => text)}`,
      );
    }
  });
});

test('a policy on standard input stays over reloads', async (context) => {
  const file = writeFirst();
  const text = policyText([allow('input', THIRD)]);
  const instance = newInstance();
  context.after(() => l7egg(host, 'clean', `-instance=${instance}`));
  const input = `${makeDirectory(host)}/input`;
  writeFileSync(input, text);
  const script = `exec "$0" -iface=eth0 -eface=eth0 -policy=- -policy="$1" -instance="$2" < "$3"`;
  const process = host.spawn('sh', ['-c', script, findCli(), file, instance, input]);
  await process.waitForLine(/^enforcing/, LIMIT_MS);
  writeFileSync(input, policyText([]));
  writeFileSync(file, policyText([allow('another', ANOTHER)]));
  const { code } = await l7egg(host, 'reload', `-instance=${instance}`);
  assert.equal(code, 0);
  assert.deepEqual(
    [await isOpen(host, ONE), await isOpen(host, ANOTHER), await isOpen(host, THIRD)],
    [false, true, true],
  );
});

test('what -lenient takes at the start it takes at a reload', async (context) => {
  const cilium = (cidr: string) => `apiVersion: cilium.io/v2
kind: CiliumClusterwideNetworkPolicy
metadata: {name: web}
spec:
  endpointSelector: {}
  egress:
    - toCIDR: [${cidr}]
    - toCIDR: [${THIRD}/32]
      authentication: {mode: required}
`;
  const file = `${makeDirectory(host)}/policy.yaml`;
  writeFileSync(file, cilium(`${ONE}/32`));
  const enforcer = await startByFiles(context, host, [file], ['-lenient']);
  writeFileSync(file, cilium(`${ANOTHER}/32`));
  const said = await mustReload(host, enforcer);
  assert.match(said, /authentication/, 'what is not enforced is a remark');
  assert.deepEqual([await isOpen(host, ONE), await isOpen(host, ANOTHER)], [false, true]);
});

test('a reload under audit drops nothing, and reports by the new rules', async (context) => {
  const file = writeFirst();
  const enforcer = await startByFiles(context, host, [file], ['-audit']);
  writeFileSync(file, policyText([allow('another', ANOTHER)]));
  await mustReload(host, enforcer);
  const since = enforcer.events().length;
  assert.deepEqual([await isOpen(host, ONE), await isOpen(host, ANOTHER)], [true, true]);
  await enforcer.waitForEvent(({ dst, verdict }) => dst === ONE && verdict === 'would_deny', LIMIT_MS, since);
  await enforcer.waitForEvent(({ dst, rule }) => dst === ANOTHER && rule === 'another', LIMIT_MS, since);
});

test('rules that stay keep their ids, also under another name; those that return get new ones', async (context) => {
  const file = writeFirst();
  const enforcer = await startByFiles(context, host, [file]);
  const idsOf = async () => new Map((await statusOf(host, enforcer)).rules.map(({ rule, id }) => [rule, id]));
  const first = await idsOf();
  writeFileSync(file, policyText([allow('another', ANOTHER), allow('renamed', ONE)]));
  const said = await mustReload(host, enforcer);
  assert.ok(said.includes(`- allow ${ONE}/32 (one)`) && said.includes(`+ allow ${ONE}/32 (renamed)`), said);
  const second = await idsOf();
  assert.equal(second.get('renamed'), first.get('one'));
  const since = enforcer.events().length;
  assert.equal(await isOpen(host, ONE), true);
  await enforcer.waitForEvent(({ dst, rule }) => dst === ONE && rule === 'renamed', LIMIT_MS, since);
  writeFileSync(file, policyText([allow('another', ANOTHER)]));
  await mustReload(host, enforcer);
  writeFileSync(file, policyText([allow('another', ANOTHER), allow('renamed', ONE)]));
  await mustReload(host, enforcer);
  const last = await idsOf();
  assert.equal(last.get('another'), second.get('another'));
  assert.notEqual(last.get('renamed'), second.get('renamed'));
});

describe('a reload at a bad moment:', () => {
  test('asked for while the enforcer starts, it is done when that is done', async (context) => {
    const file = writeFirst();
    const instance = newInstance();
    context.after(() => l7egg(host, 'clean', `-instance=${instance}`));
    const words = ['-iface=eth0', '-eface=eth0', `-policy=${file}`, `-instance=${instance}`];
    const process = host.spawn(findCli(), words);
    await until(() => filesOf(instance).some((path) => path.endsWith('/lock')), {
      limitMs: LIMIT_MS,
      what: 'the lock of a start',
    });
    replaceFile(file, policyText([allow('another', ANOTHER)]));
    const { code, stdout } = await l7egg(host, 'reload', `-instance=${instance}`);
    assert.equal(code, 0);
    assert.match(stdout, /^reloaded/);
    assert.deepEqual([await isOpen(host, ONE), await isOpen(host, ANOTHER)], [false, true]);
    process.kill('SIGTERM');
    await process.exited;
  });

  test('at the very end of a start the slots are not mixed up, 20 times', async (context) => {
    const file = `${makeDirectory(host)}/policy.yaml`;
    for (let round = 0; round < 20; round++) {
      writeFileSync(file, policyText([allow('one', ONE)]));
      const enforcer = await startByFiles(context, host, [file]);
      replaceFile(file, policyText([allow('another', ANOTHER), '{names: [www.ok.example]}']));
      await mustReload(host, enforcer);
      assert.deepEqual(
        [await isOpen(host, ONE), await isOpen(host, ANOTHER), await isOpen(host, 'www.ok.example')],
        [false, true, true],
        `round ${round}`,
      );
      await enforcer.stop();
    }
  });

  test('SIGTERM in the middle of it ends the enforcer in order, with nothing left', async (context) => {
    const file = `${makeDirectory(host)}/policy.yaml`;
    const many = Array.from({ length: 20_000 }, (_, index) => `10.${index >> 8}.${index & 255}.0/24`);
    for (const [round, waitFor] of [5, 150, 300, 450, 600].entries()) {
      writeFileSync(file, policyText([allow('one', ONE)]));
      const enforcer = await startByFiles(context, host, [file]);
      replaceFile(file, policyText([allow('many', ...many.slice(round))]));
      enforcer.process.kill('SIGHUP');
      await new Promise((resolve) => setTimeout(resolve, waitFor));
      const exit = await enforcer.stop();
      assert.deepEqual(exit, { code: 0, signal: null }, enforcer.process.tail());
      assert.deepEqual(filesOf(enforcer.instance), []);
      assert.deepEqual(await chains(host), []);
    }
  });

  test('a policy for interfaces that goes, with only a cgroup left, is refused', async (context) => {
    const file = writeFirst();
    const enforcer = await startByFiles(context, host, [file]);
    writeFileSync(file, policyText([allow('one', ONE)], ["subject: 'cgroup:/'"]));
    const { code, stderr } = await reload(host, enforcer);
    assert.equal(code, 2);
    assert.match(stderr, /no policy is for the controlled interfaces any more: restart/);
    assert.equal(await isOpen(host, ONE), true);
  });
});
