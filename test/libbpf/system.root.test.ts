import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { bootTimeNs } from '../../src/libbpf/clock.ts';
import { lockFile, lockHolder } from '../../src/libbpf/file-lock.ts';
import { readInterface } from '../../src/libbpf/ifindex.ts';
import { isBpffs, mountBpffs } from '../../src/libbpf/mount.ts';
import { enterNetns, netnsCookie } from '../../src/libbpf/setns.ts';
import { mountScratchBpffs, temporaryDirectory } from './fixture.ts';
import { enterScratchNetns, ip } from './namespace.ts';

const hostCookie = netnsCookie();
const name = enterScratchNetns();

test('enterNetns moves this thread and the children that it starts', () => {
  const { ino } = statSync(`/run/netns/${name}`);
  assert.equal(statSync('/proc/self/ns/net').ino, ino);
  assert.match(
    execFileSync('readlink', ['/proc/self/ns/net'], { encoding: 'utf8' }),
    new RegExp(`\\[${ino}\\]`),
  );
});

test('netnsCookie differs between namespaces and stays within one', () => {
  assert.notEqual(netnsCookie(), hostCookie);
  assert.equal(netnsCookie(), netnsCookie());
});

test('enterNetns throws ENOENT for a path that is not there', () => {
  assert.throws(() => enterNetns('/run/netns/no-such-namespace'), { code: 'ENOENT' });
});

test('enterNetns throws EINVAL for a file that is no network namespace', () => {
  assert.throws(() => enterNetns('/proc/self/ns/uts'), {
    code: 'EINVAL',
    message: /"\/proc\/self\/ns\/uts"/,
  });
});

test('readInterface tells loopback of the namespace entered', () => {
  assert.deepEqual(readInterface('lo'), { ifindex: 1, arphrd: 772, up: true });
});

test('readInterface tells an interface that /sys does not show', () => {
  ip('link add seen7 index 70 type veth peer name seen8');
  assert.deepEqual(readInterface('seen7'), { ifindex: 70, arphrd: 1, up: false });
  ip('link set seen7 up');
  assert.equal(readInterface('seen7')?.up, true);
});

for (const absent of ['', 'absent7', 'sixteen-letters0', 'longer-than-any-interface', 'lo\0x']) {
  test(`readInterface answers undefined for ${JSON.stringify(absent)}`, () => {
    assert.equal(readInterface(absent), undefined);
  });
}

test('mountBpffs mounts once', () => {
  const path = mountScratchBpffs();
  assert.equal(isBpffs(path), true);
  assert.equal(mountBpffs(path), false);
  const mounts = readFileSync('/proc/self/mounts', 'utf8').split('\n');
  assert.equal(mounts.filter((line) => line.split(' ')[1] === path).length, 1);
});

test('mountBpffs throws UnsupportedError where it can not', () => {
  assert.throws(() => mountBpffs('/nonexistent'), {
    name: 'UnsupportedError',
    message: 'Cannot mount a bpffs on "/nonexistent": ENOENT',
  });
});

test('lockFile answers undefined while another process holds the lock, lockHolder which one', async () => {
  const path = join(temporaryDirectory(), 'lock');
  writeFileSync(path, 'kept');
  const module = new URL('../../src/libbpf/file-lock.js', import.meta.url).href;
  const program = `const { lockFile } = await import('${module}');
    const held = lockFile(process.argv[1]);
    process.stdout.write('held');
    process.stdin.on('end', () => held.close()).resume();`;
  const holder = spawn(process.execPath, ['--input-type=module', '-e', program, path], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  await once(holder.stdout, 'data');
  assert.equal(lockFile(path), undefined);
  assert.equal(lockHolder(path), holder.pid);
  holder.stdin.end();
  await once(holder, 'exit');
  assert.equal(lockHolder(path), undefined);
  using lock = lockFile(path);
  assert.ok(lock);
  assert.equal(readFileSync(path, 'utf8'), 'kept');
});

test('lockHolder answers undefined for a file that is not there', () => {
  assert.equal(lockHolder(join(temporaryDirectory(), 'lock')), undefined);
});

test('lockFile throws ENOENT where its directory is not there', () => {
  assert.throws(() => lockFile(join(temporaryDirectory(), 'none', 'lock')), { code: 'ENOENT' });
});

test('bootTimeNs is the uptime of the machine', () => {
  const before = bootTimeNs();
  const uptimeSeconds = Number(readFileSync('/proc/uptime', 'utf8').split(' ')[0]);
  const after = bootTimeNs();
  assert.ok(after >= before);
  // /proc/uptime has hundredths of a second, cut off.
  assert.ok(uptimeSeconds >= Number(before / 10_000_000n) / 100 - 0.01);
  assert.ok(uptimeSeconds <= Number(after) / 1e9);
});
