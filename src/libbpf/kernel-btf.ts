import { existsSync } from 'node:fs';
import { bpf, libc, type Pointer } from './symbols.ts';

/** Where the kernel tells its types; absent where it was built without. */
export const KERNEL_BTF = '/sys/kernel/btf/vmlinux';

// include/uapi/linux/btf.h
const KIND_STRUCT = 4;
const KIND_UNION = 5;
const TYPE_BYTES = 12;
const MEMBER_BYTES = 12;

/**
 * Offsets in bytes of `STRUCT.MEMBER` in the running kernel's types, also of members inside of unnamed structs and
 * unions; those that it does not have are absent. `undefined` where the kernel tells no types. Its megabytes are read
 * in a thread, and are libbpf's: nothing of them stays on node's heap.
 */
export async function readKernelOffsets(
  names: readonly string[],
  path: string = KERNEL_BTF,
): Promise<ReadonlyMap<string, number> | undefined> {
  if (!existsSync(path)) return undefined;
  const btf = await bpf.btfParse.inThread(path);
  if (btf === null) return undefined;
  try {
    return new Map(
      names.flatMap((name) => {
        const [struct = '', member = ''] = name.split('.');
        const id = bpf.btfFind(btf, struct, KIND_STRUCT);
        const bits = id < 0 ? undefined : findMember(btf, id, member);
        return bits === undefined || bits % 8 !== 0 ? [] : [[name, bits / 8]];
      }),
    );
  } finally {
    bpf.btfFree(btf);
  }
}

/* In bits. */
function findMember(btf: Pointer, id: number, name: string): number | undefined {
  const at = bpf.btfType(btf, id);
  if (at === null) return undefined;
  const head = Buffer.alloc(TYPE_BYTES);
  libc.copyIn(head, at, head.length);
  const info = head.readUInt32LE(4);
  const kind = (info >>> 24) & 0x1f;
  if (kind !== KIND_STRUCT && kind !== KIND_UNION) return undefined;
  const members = Buffer.alloc((info & 0xffff) * MEMBER_BYTES);
  libc.copyIn(members, at + BigInt(TYPE_BYTES), members.length);
  for (let member = 0; member < members.length; member += MEMBER_BYTES) {
    const nameAt = members.readUInt32LE(member);
    const word = members.readUInt32LE(member + 8);
    const bits = info >>> 31 === 1 ? word & 0xffffff : word; // with the sizes of bit fields
    if (nameAt !== 0) {
      if (bpf.btfName(btf, nameAt) === name) return bits;
      continue;
    }
    const within = findMember(btf, members.readUInt32LE(member + 4), name);
    if (within !== undefined) return bits + within;
  }
  return undefined;
}
