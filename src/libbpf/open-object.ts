import { SystemError } from '../errors.ts';
import { checked, failure } from './errno.ts';
import type { BpfMap } from './map.ts';
import { addressOf, bpf, lastErrno, libc, type Pointer } from './symbols.ts';

/* The kernel before 6.4 fails with ENOSPC when the log does not fit; untouched pages cost nothing. */
const LOG_BYTES = 4 << 20;

const BTF_KIND_DATASEC = 15;
const RODATA = '.rodata';

/** Owns an object file that was read and not loaded yet. */
export class OpenObject implements Disposable {
  readonly #path: string;
  readonly #log: Buffer;
  readonly #programs: ReadonlyMap<string, Pointer>;
  readonly #maps: ReadonlyMap<string, Pointer>;
  #object: Pointer | undefined;

  /** Takes ownership of `object` (struct bpf_object), which writes to `log` as long as it lives. */
  constructor(path: string, object: Pointer, log: Buffer) {
    this.#path = path;
    this.#object = object;
    this.#log = log;
    this.#programs = new Map(list(object, bpf.nextProgram).map((at) => [bpf.programName(at), at]));
    this.#maps = new Map(list(object, bpf.nextMap).map((at) => [bpf.mapName(at), at]));
  }

  /** Names in the order of the file. */
  programs(): string[] {
    this.#opened();
    return [...this.#programs.keys()];
  }

  /** Names in the order of the file; sections of global variables are maps too. */
  maps(): string[] {
    this.#opened();
    return [...this.#maps.keys()];
  }

  /** Whether `load` takes the program into the kernel (it does by default). Throws Error for an unknown name. */
  setAutoload(programName: string, autoload: boolean): void {
    const program = this.findProgram(programName);
    checked(bpf.programSetAutoload(program, autoload), `set whether program "${programName}" is loaded`);
  }

  /** Throws Error for an unknown name, SystemError. */
  setMaxEntries(mapName: string, maxEntries: number): void {
    const map = this.findMap(mapName);
    checked(bpf.mapSetMaxEntries(map, maxEntries), `set the size of map "${mapName}" to ${maxEntries}`);
  }

  /** Uses `map`, which stays the caller's, in place of a new one. Throws SystemError (EINVAL: another shape). */
  reuseMap(mapName: string, map: BpfMap): void {
    const declared = this.findMap(mapName);
    const operation = `reuse a map for "${mapName}"`;
    const { mapType, keyBytes, valueBytes } = map.info;
    // libbpf takes any map and its shape with it; programs would read past the end of keys and values.
    if (
      bpf.mapType(declared) !== mapType ||
      bpf.mapKeyBytes(declared) !== keyBytes ||
      bpf.mapValueBytes(declared) !== valueBytes
    ) {
      throw new SystemError(`${operation} (type ${mapType}, ${keyBytes} and ${valueBytes} bytes)`, 'EINVAL');
    }
    checked(bpf.mapReuseFd(declared, map.fd), operation);
  }

  /** Gives the values of an outer map the shape of `inner`, which stays the caller's. Throws SystemError. */
  setInnerMap(mapName: string, inner: BpfMap): void {
    checked(bpf.mapSetInnerFd(this.findMap(mapName), inner.fd), `set the inner shape of map "${mapName}"`);
  }

  /** Sets a `const volatile` global; `value` has exactly its size. Throws Error for an unknown name or another size. */
  setConstant(variable: string, value: Uint8Array): void {
    const place = this.#constants().get(variable);
    if (place === undefined) {
      throw new Error(`Cannot set constant "${variable}": "${this.#path}" has no such const volatile global`);
    }
    if (place.bytes !== value.length) {
      throw new RangeError(`Cannot set constant "${variable}": ${value.length} bytes, not ${place.bytes}`);
    }
    const { at, bytes } = this.#initialValue();
    if (place.offset + place.bytes > bytes) {
      throw new RangeError(`Cannot set constant "${variable}": it lies outside of ${RODATA}`);
    }
    libc.copyOut(at + BigInt(place.offset), value, value.length);
  }

  /** bpf_object__load in a thread: 0 or a negative errno. For `loadObject`, which does nothing else with it meanwhile. */
  load(): Promise<number> {
    return bpf.objectLoad.inThread(this.#opened());
  }

  /** What the verifier wrote of the program that failed; empty when none did. */
  verifierLog(): string {
    const end = this.#log.indexOf(0);
    return this.#log.toString('latin1', 0, end < 0 ? this.#log.length : end);
  }

  /** struct bpf_program. Throws Error for an unknown name. */
  findProgram(name: string): Pointer {
    this.#opened();
    const found = this.#programs.get(name);
    if (found === undefined) throw new Error(`Cannot find program "${name}" in "${this.#path}"`);
    return found;
  }

  /** struct bpf_map. Throws Error for an unknown name. */
  findMap(name: string): Pointer {
    this.#opened();
    const found = this.#maps.get(name);
    if (found === undefined) throw new Error(`Cannot find map "${name}" in "${this.#path}"`);
    return found;
  }

  /** Idempotent. */
  close(): void {
    if (this.#object === undefined) return;
    const object = this.#object;
    this.#object = undefined;
    bpf.objectClose(object);
  }

  [Symbol.dispose](): void {
    this.close();
  }

  #opened(): Pointer {
    if (this.#object === undefined) throw new Error(`Cannot use BPF object "${this.#path}": it was closed`);
    return this.#object;
  }

  /* libbpf keeps what the section will hold in memory that may be written until it is loaded. */
  #initialValue(): { at: Pointer; bytes: number } {
    // The name of the map is the first letters of the file's name, then the section.
    const [, map] = [...this.#maps].find(([name]) => name.endsWith(RODATA)) ?? [];
    const size = Buffer.alloc(8);
    const at = map === undefined ? null : bpf.mapInitialValue(map, size);
    if (at === null) throw new SystemError(`find ${RODATA} of BPF object "${this.#path}"`, 'ENOENT');
    return { at, bytes: Number(size.readBigUInt64LE()) };
  }

  /* libbpf has filled in the offsets of BTF_KIND_DATASEC when it opened the file. */
  #constants(): Map<string, { offset: number; bytes: number }> {
    const constants = new Map<string, { offset: number; bytes: number }>();
    const btf = bpf.objectBtf(this.#opened());
    const section = btf === null ? -1 : bpf.btfFind(btf, RODATA, BTF_KIND_DATASEC);
    if (btf === null || section < 0) return constants;
    const header = readType(btf, section, 12);
    const count = header.readUInt32LE(4) & 0xffff;
    const body = readType(btf, section, 12 + count * 12);
    for (let at = 12; at < body.length; at += 12) {
      const variable = readType(btf, body.readUInt32LE(at), 12);
      const name = bpf.btfName(btf, variable.readUInt32LE(0));
      const place = { offset: body.readUInt32LE(at + 4), bytes: body.readUInt32LE(at + 8) };
      if (name !== null) constants.set(name, place);
    }
    return constants;
  }
}

function list(
  object: Pointer,
  next: (object: Pointer, previous: Pointer | null) => Pointer | null,
): Pointer[] {
  const found: Pointer[] = [];
  for (let at = next(object, null); at !== null; at = next(object, at)) found.push(at);
  return found;
}

/** Reads a BPF object file. Throws SystemError (ENOENT, LIBBPF_FORMAT), UnsupportedError without libbpf. */
export function openObject(path: string): OpenObject {
  const log = Buffer.alloc(LOG_BYTES);
  const opts = Buffer.alloc(80); // struct bpf_object_open_opts
  opts.writeBigUInt64LE(80n, 0);
  opts.writeBigUInt64LE(addressOf(log), 56);
  opts.writeBigUInt64LE(BigInt(log.length), 64);
  // Level 0 at 72: libbpf asks for the log only when a load failed.
  const object = bpf.objectOpen(path, opts);
  if (object === null) throw failure(lastErrno(), `open BPF object "${path}"`);
  return new OpenObject(path, object, log);
}

/* struct btf_type is 12 bytes; what follows depends on the kind. */
function readType(btf: Pointer, id: number, bytes: number): Buffer {
  const at = bpf.btfType(btf, id);
  if (at === null) throw new SystemError(`read BTF type ${id}`, 'EINVAL');
  const copy = Buffer.alloc(bytes);
  libc.copyIn(copy, at, bytes);
  return copy;
}
