/*
 * Who called, in events of the real enforcer: program, cgroup, container. All calls go to addresses that no rule
 * allows, each test's to one of its own. test/lab/topology.ts without servers: a refusal is answered by the enforcer.
 */
import assert from 'node:assert/strict';
import { chmodSync, copyFileSync, mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { cgroup2PathOf } from '../../src/libbpf/cgroup2.ts';
import { Cgroup, createCgroup } from '../lab/cgroup.ts';
import { findCli } from '../lab/checkout.ts';
import { RESOLVERS } from '../lab/topology.ts';
import { type LoggedEvent, RunningEnforcer, startEnforcer } from './enforcer.ts';
import { l7egg, newInstance } from './robust-lab.ts';
import { createSubjectLab, type SubjectLab } from './subject-lab.ts';

const SOON_MS = 2_000;
const START_MS = 15_000;
const FLAGS = ['-iface=eth0', '-eface=eth0', '-cidr=198.51.100.0/24', `-resolver=${RESOLVERS[0].v4}`];
const ID = '0123456789abcdef'.repeat(4);
const HOSTILE = 'ev\x1b[31m"\\\n\u202eil';

let lab: SubjectLab;
let enforcer: RunningEnforcer;
let used = 0;
before(async () => {
  lab = await createSubjectLab();
  enforcer = await startEnforcer(lab.host, FLAGS);
});
after(() => lab.close());

/** An address that no rule allows and nobody has called yet. */
function target(): string {
  used += 1;
  return `203.0.113.${used}`;
}

/** The refusal of a call to `address`. */
function refusal(address: string): Promise<LoggedEvent> {
  return enforcer.waitForEvent(({ dst, verdict }) => dst === address && verdict === 'deny', SOON_MS);
}

/** A copy of the probe with a name, or a path, of its own. */
function probeAs(name: string): string {
  const path = join(lab.host.directory, name);
  copyFileSync(lab.probe, path);
  chmodSync(path, 0o755);
  return path;
}

/** Calls `act` while the enforcer reads no event. */
function unread<T>(act: () => T): T {
  enforcer.process.kill('SIGSTOP');
  try {
    return act();
  } finally {
    enforcer.process.kill('SIGCONT');
  }
}

describe('the program', () => {
  test('of a process that has ended before its event is read', async () => {
    const address = target();
    const path = probeAs('short-lived');
    const { code } = unread(() => {
      const done = lab.host.run(path, ['tcp4', address, '80']);
      rmSync(path);
      return done;
    });
    assert.equal(code, 0);
    const told = await refusal(address);
    assert.deepEqual([told.exe, told.comm, told.uid], [path, 'short-lived', 0]);
  });

  for (const [kind, ...words] of [
    ['UDP, not connected', 'udp4'],
    ['UDP, connected', 'connected4'],
    ['TCP', 'tcp4'],
  ] as const) {
    test(`that calls by ${kind}`, async () => {
      const address = target();
      await lab.came(lab.host, ...words, address, '80');
      assert.equal((await refusal(address)).exe, lab.probe);
    });
  }

  test('whose file is renamed while it runs: the name that it has when it calls', async () => {
    const [address, path] = [target(), probeAs('old-name')];
    const renamed = join(lab.host.directory, 'new-name');
    const held = lab.host.spawn(path, ['-hold', 'tcp4', address, '80']);
    await held.waitForLine(/^made$/, SOON_MS);
    renameSync(path, renamed);
    held.kill('SIGUSR1');
    const told = await refusal(address);
    assert.deepEqual([told.exe, told.comm, told.pid], [renamed, 'old-name', held.pid]);
  });

  test('that is a script: its interpreter', async () => {
    const address = target();
    const path = join(lab.host.directory, 'fetch-it');
    writeFileSync(path, `#!/bin/bash\nexec 3<>/dev/tcp/${address}/80\n`, { mode: 0o755 });
    lab.host.run(path, []);
    const told = await refusal(address);
    assert.deepEqual([told.exe, told.comm], ['/usr/bin/bash', 'fetch-it']);
  });

  test('whose path is longer than what is kept: its end, and a mark', async () => {
    const address = target();
    const folder = Array.from({ length: 4 }, (_, index) => `${index}`.repeat(100)).join('/');
    mkdirSync(join(lab.host.directory, folder), { recursive: true });
    const path = probeAs(`${folder}/program`);
    await lab.came(lab.host, 'tcp4', target(), '80');
    lab.host.run(path, ['tcp4', address, '80']);
    assert.equal((await refusal(address)).exe, `…${path.slice(-256)}`);
  });

  for (const length of [255, 256, 257]) {
    test(`whose path has ${length} bytes`, async () => {
      const address = target();
      const above = join(lab.host.directory, 'd'.repeat(200 - lab.host.directory.length));
      mkdirSync(above, { recursive: true });
      const name = 'p'.repeat(length - above.length - 1);
      const path = join(above, name);
      copyFileSync(lab.probe, path);
      chmodSync(path, 0o755);
      assert.equal(path.length, length);
      lab.host.run(path, ['tcp4', address, '80']);
      assert.equal((await refusal(address)).exe, length > 256 ? `…${path.slice(-256)}` : path);
    });
  }

  test('that only its own mount namespace has', async () => {
    const address = target();
    const script = `mount -t tmpfs tmpfs /mnt && mkdir /mnt/deep && cp ${lab.probe} /mnt/deep/hidden && exec /mnt/deep/hidden tcp4 ${address} 80`;
    lab.host.must('unshare', ['--mount', 'sh', '-c', script]);
    assert.equal((await refusal(address)).exe, '/mnt/deep/hidden');
  });

  test('that is another after an exec() in the same process', async () => {
    const [first, second] = [target(), target()];
    const script = `exec 3<>/dev/tcp/${first}/80; exec ${lab.probe} tcp4 ${second} 80`;
    lab.host.run('bash', ['-c', script]);
    const [before, behind] = [await refusal(first), await refusal(second)];
    assert.equal(before.pid, behind.pid);
    assert.deepEqual([before.exe, behind.exe], ['/usr/bin/bash', lab.probe]);
  });

  test('that is on no file system', async () => {
    const address = target();
    const program = `import os,sys
fd=os.memfd_create("secret");os.write(fd,open(sys.argv[1],"rb").read());os.execve(fd,["x","tcp4",sys.argv[2],"80"],{})`;
    lab.host.run('python3', ['-c', program, lab.probe, address]);
    assert.equal((await refusal(address)).exe, '/memfd:secret');
  });
});

describe('the cgroup', () => {
  test('by its path, as deep as it is', async () => {
    const address = target();
    const inner = lab.host.use(createCgroup(lab.host, 'outer').below('inner'));
    await lab.came(inner, 'tcp4', address, '80');
    const told = await refusal(address);
    assert.deepEqual([told.cgroup, told.container], [inner.path, undefined]);
  });

  test('that is gone before the event is read', async () => {
    const address = target();
    const cgroup = createCgroup(lab.host, 'gone');
    unread(() => {
      cgroup.run(lab.probe, ['tcp4', address, '80']);
      cgroup.close();
    });
    assert.equal((await refusal(address)).cgroup, cgroup.path);
  });

  test('of a process that moves on between two calls', async () => {
    const [first, second] = [target(), target()];
    const cgroup = lab.host.use(createCgroup(lab.host, 'next'));
    const script = `: 3<>/dev/tcp/${first}/80; echo 0 >${cgroup.directory}/cgroup.procs; : 3<>/dev/tcp/${second}/80`;
    lab.host.run('bash', ['-c', script]);
    const [before, behind] = [await refusal(first), await refusal(second)];
    assert.equal(before.pid, behind.pid);
    assert.deepEqual([before.cgroup, behind.cgroup], [cgroup2PathOf(process.pid), cgroup.path]);
  });
});

test('the container: the beginning of the id in the path of its cgroup', async () => {
  const address = target();
  const scope = lab.host.use(new Cgroup(lab.host, `/l7t-${process.pid}.slice/docker-${ID}.scope`));
  await lab.came(scope, 'tcp4', address, '80');
  const told = await refusal(address);
  assert.deepEqual([told.cgroup, told.container], [scope.path, ID.slice(0, 12)]);
});

test('no container where whoever a service runs as could have named the cgroup so', async () => {
  const address = target();
  const forged = lab.host.use(new Cgroup(lab.host, `/l7t-${process.pid}.service/docker-${ID}.scope`));
  await lab.came(forged, 'tcp4', address, '80');
  const told = await refusal(address);
  assert.deepEqual([told.cgroup, told.container], [forged.path, undefined]);
});

test('on a kernel that tells no types: the process, without paths; connections have ends', async (context) => {
  const { dns } = lab.lab;
  const instance = newInstance();
  context.after(() => l7egg(dns, 'clean', `-instance=${instance}`));
  const script = 'mount -t tmpfs tmpfs /sys/kernel/btf && exec "$0" "$@"';
  const words = [findCli(), ...FLAGS, '-log=json', `-instance=${instance}`];
  const blind = new RunningEnforcer(
    dns.spawn('unshare', ['--mount', 'sh', '-c', script, ...words]),
    instance,
    'json',
  );
  await blind.process.waitForLine(/^enforcing/, START_MS);
  const address = target();
  await lab.came(dns, 'tcp4', address, '80');
  await lab.came(dns, 'tcp4', '198.51.100.9', '80');
  const told = await blind.waitForEvent(({ dst }) => dst === address, SOON_MS);
  assert.deepEqual([told.comm, told.uid, told.exe, told.cgroup], ['probe', 0, undefined, undefined]);
  const end = await blind.waitForEvent(({ reason }) => reason === 'ended', SOON_MS);
  assert.deepEqual([end.dst, end.bytes], ['198.51.100.9', 0]);
  assert.ok((end.bytes_in ?? 2) <= 1, "the other end's FIN may pass for a byte there");
  await blind.stop();
});

describe('names with control characters', () => {
  test('are valid JSON on one line, of characters that harm no terminal', async () => {
    const [address, path] = [target(), probeAs(HOSTILE)];
    lab.host.run(path, ['tcp4', address, '80']);
    const told = await refusal(address);
    assert.equal(told.exe, path);
    assert.equal(Buffer.from(told.comm ?? '').indexOf(Buffer.from('ev\x1b[31m"\\\n')), 0);
    const line = enforcer.process.lines.find(({ text }) => text.includes(address));
    assert.match(line?.text ?? '', /^[ -~]*$/u);
  });

  test('are escaped in text', async () => {
    const address = target();
    const { dns } = lab.lab;
    const text = await startEnforcer(dns, FLAGS, { log: 'text' });
    dns.run(probeAs(HOSTILE), ['tcp4', address, '80']);
    const { text: line } = await text.process.waitForLine(
      new RegExp(address.replaceAll('.', '\\.'), 'u'),
      SOON_MS,
    );
    assert.match(line, /^[ -~]* deny {7}ev\\x1b\[31m"\\\\x0a[ -~]*$/u);
  });
});
