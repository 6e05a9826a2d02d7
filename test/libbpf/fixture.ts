import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after } from 'node:test';
import { fileURLToPath } from 'node:url';
import { mountBpffs } from '../../src/libbpf/mount.ts';

/** An Ethernet frame that a test run takes. */
export const FRAME = Buffer.alloc(64);

/** Compiles fixture.bpf.c for the tests of one file; answers the path of the object. */
export function compileFixture(): string {
  const directory = temporaryDirectory();
  const source = fileURLToPath(new URL('../../../test/libbpf/fixture.bpf.c', import.meta.url));
  const object = join(directory, 'fixture.o');
  const arch = process.arch === 'arm64' ? 'aarch64' : 'x86_64';
  const flags = ['-O2', '-g', '-target', 'bpf', '-Wall', '-Werror', `-I/usr/include/${arch}-linux-gnu`];
  execFileSync('clang', [...flags, '-c', source, '-o', object], { stdio: ['ignore', 'inherit', 'inherit'] });
  return object;
}

/** A bpffs of its own, gone after the tests of the file. */
export function mountScratchBpffs(): string {
  const path = mkdtempSync(join(tmpdir(), 'l7egg-test-bpffs-'));
  mountBpffs(path);
  after(() => {
    execFileSync('umount', [path]);
    rmdirSync(path);
  });
  return path;
}

/** A directory that is gone after the tests of the file. */
export function temporaryDirectory(): string {
  const path = mkdtempSync(join(tmpdir(), 'l7egg-test-'));
  after(() => rmSync(path, { recursive: true, force: true }));
  return path;
}

/** Bytes of a 32-bit number in host order. */
export function u32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return bytes;
}

/** Bytes of a 64-bit number in host order. */
export function u64(value: bigint): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64LE(value);
  return bytes;
}
