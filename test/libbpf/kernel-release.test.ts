import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isKernelSince, tooOldKernel } from '../../src/libbpf/kernel-release.ts';

const RELEASES: readonly (readonly [kernel: string, since: readonly [number, number], expected: boolean])[] =
  [
    ['6.1.0-56-cloud-amd64', [6, 1], true],
    ['6.0.19', [6, 1], false],
    ['5.19.0', [6, 1], false],
    ['6.12.117+deb12-amd64', [6, 2], true],
    ['6.2-rc1', [6, 12], false],
    ['7.0-rc3', [6, 12], true],
    ['7.3.4+deb13', [6, 12], true],
  ];
for (const [kernel, [major, minor], expected] of RELEASES) {
  test(`${kernel} is ${expected ? '' : 'not '}since ${major}.${minor}`, () =>
    assert.equal(isKernelSince(major, minor, kernel), expected));
}

test('a kernel before 6.1 is told so, others are not', () => {
  assert.equal(tooOldKernel('5.10.0-32-amd64'), 'Linux 6.1 or newer is needed, this is 5.10.0-32-amd64');
  assert.equal(tooOldKernel('6.1.0-1-amd64'), undefined);
});
