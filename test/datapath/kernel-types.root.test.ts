import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { kernelTypes } from '../../src/datapath/kernel-types.ts';
import { LAYOUT } from '../../src/datapath/layout.ts';
import { encodeStruct, readField } from '../../src/datapath/struct.ts';
import { readKernelOffsets } from '../../src/libbpf/kernel-btf.ts';
import { loadObject } from '../../src/libbpf/object.ts';

const OBJECT = fileURLToPath(new URL('../../../dist/l7egg.bpf.o', import.meta.url));

test('kernelTypes finds each offset in the running kernel', async () => {
  const types = await kernelTypes();
  assert.equal(types.length, LAYOUT.kernel_types.size);
  assert.equal(readField(types, 'kernel_types', 'is_known'), 1);
  // Members that are never the first of their struct.
  for (const field of ['task_leader', 'task_mm', 'mm_exe_file', 'dentry_parent', 'css_set_cgroup'] as const)
    assert.ok(readField(types, 'kernel_types', field) > 0, field);
});

test('readKernelOffsets finds what lies in unnamed structs, and leaves out what is not there', async () => {
  const found = await readKernelOffsets(
    new Map([
      ['task_struct', ['mm', 'no_such_member']],
      ['qstr', ['len', 'name']],
      ['no_such_struct', ['mm']],
    ]),
  );
  assert.deepEqual([...(found ?? new Map()).keys()].sort(), ['qstr.len', 'qstr.name', 'task_struct.mm']);
  assert.deepEqual([found?.get('qstr.len'), found?.get('qstr.name')], [4, 8]);
});

for (const [what, path] of [
  ['that tells no types', '/nonexistent/vmlinux'],
  ['whose types are something else', '/etc/hostname'],
]) {
  test(`a kernel ${what} has no offsets`, async () => {
    assert.equal(await readKernelOffsets(new Map([['task_struct', ['mm']]]), path), undefined);
  });
}

test('all programs load where no types are known, as on a kernel without BTF', async () => {
  using loaded = await loadObject(OBJECT, (opened) => {
    opened.setConstant('kernel_types', encodeStruct('kernel_types', {}));
  });
  assert.ok(loaded.maps().includes('programs'));
});
