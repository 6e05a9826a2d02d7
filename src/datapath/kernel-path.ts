import type { RawProcess } from './event.ts';
import { LIMITS } from './layout.ts';
import type { MapSource } from './state.ts';
import { encodeStruct, placeOf, readField } from './struct.ts';

const [BYTES_AT, BYTES] = placeOf('kernel_path', 'bytes');
const TEXT = new TextDecoder('utf-8');
/** Stands in front of a path that is longer than the kernel programs keep. */
const CUT = '…';

/** The path of what a process executed when it called, from the root of its mounts. `undefined` when it is not known. */
export function programPath(maps: MapSource, { pid, startedNs, execId }: RawProcess): string | undefined {
  const key = encodeStruct('program_key', { started_ns: startedNs, pid, exec_id: execId });
  return decodePath(maps.map('programs').get(key));
}

/** The path of a cgroup, from the root of the cgroup2 tree. `undefined` when it is not known. */
export function cgroupPath(maps: MapSource, id: bigint): string | undefined {
  const key = Buffer.alloc(8);
  key.writeBigUInt64LE(id);
  return decodePath(maps.map('cgroup_paths').get(key));
}

function decodePath(value: Buffer | undefined): string | undefined {
  const length = value ? readField(value, 'kernel_path', 'length') : 0;
  if (!value || length === 0 || length > LIMITS.PATH_BYTES) return undefined;
  const text = TEXT.decode(value.subarray(BYTES_AT + BYTES - length, BYTES_AT + BYTES));
  return readField(value, 'kernel_path', 'is_cut') === 0 ? text : `${CUT}${text}`;
}
