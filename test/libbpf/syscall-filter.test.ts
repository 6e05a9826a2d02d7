import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { describe, test } from 'node:test';
import { UnsupportedError } from '../../src/errors.ts';
import { callNumber, filteredCalls, refusingFilter } from '../../src/libbpf/syscall-filter.ts';

const [X86_64, AARCH64] = [0xc000_003e, 0xc000_00b7];
const [ALLOW, EPERM] = [0x7fff_0000, 0x0005_0001];
/** Of x86-64: what an enforcer lives on. */
const NEEDED = {
  read: 0,
  bpf: 321,
  sendto: 44,
  clone: 56,
  clone3: 435,
  futex: 202,
  mmap: 9,
  kill: 62,
  exit: 60,
};

/** What the program answers to a call: a subset of classic BPF, linux/filter.h. */
function run(filter: Buffer, architecture: number, number: number): number {
  let word = 0;
  for (let at = 0; at < filter.length; at += 8) {
    const [code, value] = [filter.readUInt16LE(at), filter.readUInt32LE(at + 4)];
    if (code === 0x06) return value;
    if (code === 0x20)
      word = value === 0 ? number : value === 4 ? architecture : assert.fail(`load ${value}`);
    else {
      const isTrue =
        code === 0x15 ? word === value : code === 0x35 ? word >= value : assert.fail(`code ${code}`);
      at += 8 * filter.readUInt8(at + (isTrue ? 2 : 3));
    }
  }
  return assert.fail('ran past its end');
}

describe('refusingFilter', () => {
  for (const [arch, architecture] of [
    ['x64', X86_64],
    ['arm64', AARCH64],
  ] as const) {
    test(`${arch}: the calls fail that are named, and no other`, () => {
      const filter = refusingFilter(filteredCalls(), arch);
      const refused = new Set(filteredCalls().map((name) => callNumber(name, arch)));
      for (let number = 0; number < 1_000; number += 1) {
        assert.equal(run(filter, architecture, number), refused.has(number) ? EPERM : ALLOW, `${number}`);
      }
    });
  }

  test('by the numbers of another architecture, or of x32, nothing is called', () => {
    const filter = refusingFilter(['mount'], 'x64');
    assert.equal(run(filter, AARCH64, 0), EPERM);
    assert.equal(run(filter, 0x4000_0003, 0), EPERM); // i386
    assert.equal(run(filter, X86_64, 0x4000_0000), EPERM);
    assert.equal(run(filter, X86_64, 0x3fff_ffff), ALLOW);
    assert.equal(run(filter, X86_64, 165), EPERM);
  });

  test('lets pass what an enforcer lives on', () => {
    const filter = refusingFilter(filteredCalls(), 'x64');
    for (const [name, number] of Object.entries(NEEDED))
      assert.equal(run(filter, X86_64, number), ALLOW, name);
  });

  test('knows no other processor', () => {
    assert.throws(() => refusingFilter(['mount'], 'mips'), UnsupportedError);
  });
});

describe('the numbers are those of the kernel headers', () => {
  const multiarch = execFileSync('clang', ['-print-multiarch'], { encoding: 'utf8' }).trim();
  for (const [arch, candidates] of [
    ['x64', [`/usr/include/${multiarch}/asm/unistd_64.h`, '/usr/include/asm/unistd_64.h']],
    ['arm64', ['/usr/include/asm-generic/unistd.h']],
  ] as const) {
    test(arch, () => {
      const header = candidates.find((path) => existsSync(path)) ?? assert.fail(`none of ${candidates}`);
      const text = readFileSync(header, 'latin1');
      for (const name of filteredCalls()) {
        const [, number] = new RegExp(`^#define __NR_${name}\\s+(\\d+)$`, 'mu').exec(text) ?? [];
        assert.equal(callNumber(name, arch), number === undefined ? undefined : Number(number), name);
      }
    });
  }
});
