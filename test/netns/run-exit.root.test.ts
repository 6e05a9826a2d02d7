/*
 * Exit codes of `l7egg-cli run`: the command's own, and ours for what keeps it from starting. The lab is that of
 * run-lab.ts.
 */
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { findCli } from '../lab/checkout.ts';
import type { RunOptions, RunResult } from '../lab/command.ts';
import { createRunLab, OK, type RunLab } from './run-lab.ts';

const FLAGS = [`-name=${OK}`];

describe('exit codes of a run', () => {
  let lab: RunLab;
  before(async () => {
    lab = await createRunLab();
  });
  after(() => lab.close());

  const own = [
    { what: 'success', command: ['true'], code: 0 },
    { what: 'its own', command: ['sh', '-c', 'exit 3'], code: 3 },
    { what: 'one that we use as well', command: ['sh', '-c', 'exit 125'], code: 125 },
    { what: 'SIGTERM', command: ['sh', '-c', 'kill -TERM $$'], code: 143 },
    { what: 'SIGKILL', command: ['sh', '-c', 'kill -KILL $$'], code: 137 },
    { what: 'SIGSEGV', command: ['sh', '-c', 'kill -SEGV $$'], code: 139 },
  ];
  for (const { what, command, code } of own) {
    test(`the command's ${what}: ${code}`, async () => {
      const ran = await lab.run(FLAGS, command);
      assert.deepEqual([ran.code, ran.said], [code, ['nothing was blocked']]);
    });
  }

  const unstartable = [
    { what: 'that is not there', command: '/no/such/program', code: 127, says: 'No such file or directory' },
    {
      what: 'that is not in PATH',
      command: 'l7t-no-such-program',
      code: 127,
      says: 'No such file or directory',
    },
    { what: 'that is no program', command: '/etc/passwd', code: 126, says: 'Permission denied' },
  ];
  for (const { what, command, code, says } of unstartable) {
    test(`a command ${what}: ${code}, and no summary of nothing`, async () => {
      const ran = await lab.run(FLAGS, [command]);
      assert.deepEqual([ran.code, ran.said], [code, [`Cannot start "${command}": ${says}`]]);
    });
  }

  /* What is tried leaves a file when it is started. */
  async function isRefused(
    code: number,
    says: RegExp,
    flags: readonly string[],
    wrap: readonly string[] = [],
    options: RunOptions = {},
  ): Promise<RunResult> {
    const marker = join(lab.base.host.directory, 'started');
    const words = [...wrap, findCli(), ...lab.words(flags, ['touch', marker])];
    const [program = '', ...args] = words;
    const done = await lab.base.a.runAsync(program, args, options);
    assert.equal(done.code, code, done.stderr);
    assert.match(done.stderr, says);
    assert.equal(done.stdout, '');
    assert.ok(!existsSync(marker), 'it was not started');
    return done;
  }

  const usage = [
    { what: 'an unknown flag', flags: ['-nmae=x'], says: /unknown flag "-nmae=x"/u },
    { what: 'a bad name', flags: ['-name=a..b'], says: /"a\.\.b"/u },
    { what: 'a bad rate', flags: [...FLAGS, '-rate=5'], says: /"5"/u },
    { what: 'a flag of enforce', flags: [...FLAGS, '-eface=eth0'], says: /-eface is not for run/u },
    { what: 'a policy file that is not there', flags: ['-policy=/no/file'], says: /"\/no\/file": ENOENT/u },
    { what: 'a preset that is not there', flags: ['-preset=nmp'], says: /"nmp"/u },
    { what: 'a bad instance', flags: [...FLAGS, '-instance=a/b'], says: /instance "a\/b"/u },
  ];
  for (const { what, flags, says } of usage) {
    test(`${what}: 2`, async () => {
      await isRefused(2, says, flags);
    });
  }

  test('no command: 2', async () => {
    const done = await lab.base.a.runAsync(findCli(), ['run', ...FLAGS]);
    assert.equal(done.code, 2);
    assert.match(done.stderr, /run needs a command behind " -- "/u);
  });

  test('a SUDO_UID that is no id: 2', async () => {
    await isRefused(2, /SUDO_UID "root" is no id/u, FLAGS, [], { env: { SUDO_UID: 'root' } });
  });

  test('no root: 3, and sudo is named', async () => {
    const nobody = ['setpriv', '--reuid=65534', '--regid=65534', '--clear-groups', process.execPath];
    await isRefused(3, /this needs root: run it with sudo/u, FLAGS, nobody.slice(0, 4));
  });

  test('a cgroup tree that is read-only: 3', async () => {
    const { directory } = lab.base.a;
    const script = 'mount --bind "$0" "$0" && mount -o remount,bind,ro "$0" && exec "$@"';
    await isRefused(3, /Cannot make the cgroup ".*": EROFS\. .*docker run --privileged/u, FLAGS, [
      'unshare',
      '--mount',
      'sh',
      '-c',
      script,
      directory,
    ]);
  });

  test('a view of the file system that can not be made: 3, and said', async () => {
    // Without the right to mount in the host's eyes, as some container engines have it.
    const wrap = ['setpriv', '--bounding-set=-sys_chroot,-setpcap', '--inh-caps=-all'];
    const done = await isRefused(3, /^l7egg-cli: run: Cannot /mu, FLAGS, wrap);
    assert.doesNotMatch(done.stderr, /nothing was blocked/u);
  });

  test('a run inside a run: 3, and the outer one goes on', async () => {
    const inner = [findCli(), ...lab.words(FLAGS, ['echo', 'inner'])];
    const ran = await lab.run(FLAGS, ['sh', '-c', '"$@"; echo "inner $?"', 'sh', ...inner]);
    assert.deepEqual([ran.code, ran.stdout], [0, 'inner 3\n']);
    assert.match(
      ran.stderr,
      /^l7egg-cli: Cannot run inside of another run, whose cgroup is ".*": start the command/mu,
    );
  });

  test('an instance that is in use: 1, and the first goes on', async (context) => {
    const { process: first, instance } = lab.start(FLAGS, ['sh', '-c', 'echo up; exec sleep 100']);
    context.after(() => first.stop());
    await first.waitForLine(/^up$/u, 10_000);
    await isRefused(1, /another run of that name has it: give this one another name with -instance/u, [
      `-instance=${instance}`,
      ...FLAGS,
    ]);
    assert.equal(first.exit, undefined);
    assert.equal(lab.tracesOf(instance).length, 3);
  });

  test('an instance that an enforcer has: 1, and that one goes on', async (context) => {
    const enforcer = await lab.base.judge(context, [lab.base.b], ['-cidr=198.51.100.1']);
    await isRefused(1, new RegExp(`instance "${enforcer.instance}" is running as process`, 'u'), [
      `-instance=${enforcer.instance}`,
      ...FLAGS,
    ]);
    assert.equal(enforcer.process.exit, undefined);
    assert.ok(!existsSync(lab.cgroupOf(enforcer.instance)));
  });
});
