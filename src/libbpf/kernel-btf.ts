import { existsSync } from 'node:fs';
import { giveBackLarge } from './large-memory.ts';
import { bpf, libc, type Pointer } from './symbols.ts';

/** Where the kernel tells its types; absent where it was built without. */
export const KERNEL_BTF = '/sys/kernel/btf/vmlinux';

// include/uapi/linux/btf.h
const KIND_STRUCT = 4;
const KIND_UNION = 5;
const TYPE_BYTES = 12;
const MEMBER_BYTES = 12;

/** Members that are looked for, by struct. */
export type Wanted = ReadonlyMap<string, readonly string[]>;

/**
 * Offsets in bytes of `STRUCT.MEMBER` in the running kernel's types, also of members inside of unnamed structs and
 * unions; those that it does not have are absent. `undefined` where the kernel tells no types. Its megabytes are read
 * in a thread, and are libbpf's: nothing of them stays on node's heap.
 */
export async function readKernelOffsets(
  wanted: Wanted,
  path: string = KERNEL_BTF,
): Promise<ReadonlyMap<string, number> | undefined> {
  if (!existsSync(path)) return undefined;
  giveBackLarge();
  const btf = await bpf.btfParse.inThread(path);
  if (btf === null) return undefined;
  try {
    const found = new Map<string, number>();
    for (const [struct, members] of wanted) {
      const id = bpf.btfFind(btf, struct, KIND_STRUCT);
      const missing = new Set(members);
      if (id < 0) continue;
      takeMembers(btf, id, 0, missing, (member, bits) => found.set(`${struct}.${member}`, bits / 8));
    }
    return found;
  } finally {
    bpf.btfFree(btf);
  }
}

/*
 * Once through the members, and no further than needed: what runs often is optimised, and the optimiser costs the
 * process three megabytes for good.
 */
function takeMembers(
  btf: Pointer,
  id: number,
  baseBits: number,
  missing: Set<string>,
  take: (member: string, bits: number) => void,
): void {
  const at = bpf.btfType(btf, id);
  if (at === null) return;
  const head = Buffer.alloc(TYPE_BYTES);
  libc.copyIn(head, at, head.length);
  const info = head.readUInt32LE(4);
  const kind = (info >>> 24) & 0x1f;
  if (kind !== KIND_STRUCT && kind !== KIND_UNION) return;
  const words = new Uint32Array(((info & 0xffff) * MEMBER_BYTES) / 4); // name, type, offset
  libc.copyIn(new Uint8Array(words.buffer), at + BigInt(TYPE_BYTES), words.byteLength);
  const mask = info >>> 31 === 1 ? 0xffffff : 0xffffffff; // above it the sizes of bit fields
  for (let word = 0; word < words.length && missing.size > 0; word += 3) {
    const nameAt = words[word] ?? 0;
    const bits = baseBits + (((words[word + 2] ?? 0) & mask) >>> 0);
    const name = nameAt === 0 ? undefined : bpf.btfName(btf, nameAt);
    if (name === undefined) takeMembers(btf, words[word + 1] ?? 0, bits, missing, take);
    else if (name !== null && bits % 8 === 0 && missing.delete(name)) take(name, bits);
  }
}
