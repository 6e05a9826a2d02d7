import koffi, { type LibraryHandle } from 'koffi';
import { UnsupportedError } from '../errors.ts';

/** A C pointer; NULL is `null` on the way in and on the way out. */
export type Pointer = bigint;

/** Memory that C reads or writes during a call. */
export type Bytes = Uint8Array;

type CFunction<A extends unknown[], R> = ((...args: A) => R) & {
  /** Runs in a thread of koffi's; the caller keeps every buffer it passed until the promise settles. */
  inThread(...args: A): Promise<R>;
  /** Finds the function now, not at the first call. Throws UnsupportedError. */
  bind(): void;
};

class Library {
  readonly #file: string;
  readonly #remedy: string;
  readonly #prepare: (handle: LibraryHandle) => void;
  #handle: LibraryHandle | undefined;

  constructor(file: string, remedy: string, prepare: (handle: LibraryHandle) => void = () => {}) {
    this.#file = file;
    this.#remedy = remedy;
    this.#prepare = prepare;
  }

  bind(prototype: string): ReturnType<LibraryHandle['func']> {
    const handle = this.#open();
    try {
      return handle.func(prototype);
    } catch (cause) {
      throw new UnsupportedError(`Cannot bind "${prototype}" of ${this.#file}: ${this.#remedy}`, { cause });
    }
  }

  #open(): LibraryHandle {
    if (this.#handle !== undefined) return this.#handle;
    let handle: LibraryHandle;
    try {
      handle = koffi.load(this.#file);
    } catch (cause) {
      throw new UnsupportedError(`Cannot open ${this.#file}: ${this.#remedy}`, { cause });
    }
    this.#prepare(handle);
    this.#handle = handle;
    return handle;
  }
}

/* koffi answers `any`: the type arguments of each row below are where a C type becomes ours. */
function from<A extends unknown[], R>(library: Library, prototype: string): CFunction<A, R> {
  let bound: ReturnType<LibraryHandle['func']> | undefined;
  const bind = () => {
    bound ??= library.bind(prototype);
    return bound;
  };
  const call = (...args: A): R => bind()(...args);
  const inThread = (...args: A): Promise<R> =>
    new Promise((resolve, reject) => {
      bind().async(...args, (failure: unknown, result: R) => (failure ? reject(failure) : resolve(result)));
    });
  return Object.assign(call, { inThread, bind: () => void bind() });
}

const bpfLibrary = new Library(
  'libbpf.so.1',
  'libbpf 1.1 or newer is needed (apt install libbpf1)',
  // Without this libbpf writes its warnings to our stderr.
  (handle) => handle.func('void *libbpf_set_print(void *print)')(null),
);
const cLibrary = new Library('libc.so.6', 'glibc is needed');

/** The functions of libbpf in use; each answers a negative errno for a failure, or a NULL pointer and errno. */
export const bpf = {
  mapCreate: from<[number, string, number, number, number, Bytes], number>(
    bpfLibrary,
    'int bpf_map_create(int type, const char *name, uint32_t keySize, uint32_t valueSize, uint32_t maxEntries, const void *opts)',
  ),
  mapLookup: from<[number, Bytes, Bytes], number>(
    bpfLibrary,
    'int bpf_map_lookup_elem(int fd, const void *key, void *value)',
  ),
  mapUpdate: from<[number, Bytes, Bytes, number], number>(
    bpfLibrary,
    'int bpf_map_update_elem(int fd, const void *key, const void *value, uint64_t flags)',
  ),
  mapTake: from<[number, Bytes, Bytes], number>(
    bpfLibrary,
    'int bpf_map_lookup_and_delete_elem(int fd, const void *key, void *value)',
  ),
  mapDelete: from<[number, Bytes], number>(bpfLibrary, 'int bpf_map_delete_elem(int fd, const void *key)'),
  mapUpdateBatch: from<[number, Bytes, Bytes, Bytes, Bytes], number>(
    bpfLibrary,
    'int bpf_map_update_batch(int fd, const void *keys, const void *values, void *count, const void *opts)',
  ),
  mapLookupBatch: from<[number, Bytes | null, Bytes, Bytes, Bytes, Bytes, Bytes], number>(
    bpfLibrary,
    'int bpf_map_lookup_batch(int fd, void *in, void *out, void *keys, void *values, void *count, const void *opts)',
  ),
  possibleCpus: from<[], number>(bpfLibrary, 'int libbpf_num_possible_cpus()'),
  infoByFd: from<[number, Bytes, Bytes], number>(
    bpfLibrary,
    'int bpf_obj_get_info_by_fd(int fd, void *info, void *length)',
  ),
  pin: from<[number, string], number>(bpfLibrary, 'int bpf_obj_pin(int fd, const char *path)'),
  openPin: from<[string], number>(bpfLibrary, 'int bpf_obj_get(const char *path)'),
  mapById: from<[number], number>(bpfLibrary, 'int bpf_map_get_fd_by_id(uint32_t id)'),
  progById: from<[number], number>(bpfLibrary, 'int bpf_prog_get_fd_by_id(uint32_t id)'),
  progTestRun: from<[number, Bytes], number>(bpfLibrary, 'int bpf_prog_test_run_opts(int fd, void *opts)'),
  linkCreate: from<[number, number, number, null], number>(
    bpfLibrary,
    'int bpf_link_create(int progFd, int targetFd, int attachType, const void *opts)',
  ),
  linkUpdate: from<[number, number, null], number>(
    bpfLibrary,
    'int bpf_link_update(int linkFd, int progFd, const void *opts)',
  ),
  linkDetach: from<[number], number>(bpfLibrary, 'int bpf_link_detach(int linkFd)'),
  tcHookCreate: from<[Bytes], number>(bpfLibrary, 'int bpf_tc_hook_create(void *hook)'),
  tcHookDestroy: from<[Bytes], number>(bpfLibrary, 'int bpf_tc_hook_destroy(void *hook)'),
  tcAttach: from<[Bytes, Bytes], number>(bpfLibrary, 'int bpf_tc_attach(const void *hook, void *opts)'),
  tcDetach: from<[Bytes, Bytes], number>(bpfLibrary, 'int bpf_tc_detach(const void *hook, const void *opts)'),
  tcQuery: from<[Bytes, Bytes], number>(bpfLibrary, 'int bpf_tc_query(const void *hook, void *opts)'),
  objectOpen: from<[string, Bytes], Pointer | null>(
    bpfLibrary,
    'void *bpf_object__open_file(const char *path, const void *opts)',
  ),
  objectLoad: from<[Pointer], number>(bpfLibrary, 'int bpf_object__load(void *object)'),
  objectClose: from<[Pointer], void>(bpfLibrary, 'void bpf_object__close(void *object)'),
  objectBtf: from<[Pointer], Pointer | null>(bpfLibrary, 'void *bpf_object__btf(const void *object)'),
  nextProgram: from<[Pointer, Pointer | null], Pointer | null>(
    bpfLibrary,
    'void *bpf_object__next_program(const void *object, void *program)',
  ),
  programName: from<[Pointer], string>(bpfLibrary, 'const char *bpf_program__name(const void *program)'),
  programFd: from<[Pointer], number>(bpfLibrary, 'int bpf_program__fd(const void *program)'),
  programSetAutoload: from<[Pointer, boolean], number>(
    bpfLibrary,
    'int bpf_program__set_autoload(void *program, bool autoload)',
  ),
  nextMap: from<[Pointer, Pointer | null], Pointer | null>(
    bpfLibrary,
    'void *bpf_object__next_map(const void *object, const void *map)',
  ),
  mapName: from<[Pointer], string>(bpfLibrary, 'const char *bpf_map__name(const void *map)'),
  mapFd: from<[Pointer], number>(bpfLibrary, 'int bpf_map__fd(const void *map)'),
  mapType: from<[Pointer], number>(bpfLibrary, 'int bpf_map__type(const void *map)'),
  mapKeyBytes: from<[Pointer], number>(bpfLibrary, 'uint32_t bpf_map__key_size(const void *map)'),
  mapValueBytes: from<[Pointer], number>(bpfLibrary, 'uint32_t bpf_map__value_size(const void *map)'),
  mapReuseFd: from<[Pointer, number], number>(bpfLibrary, 'int bpf_map__reuse_fd(void *map, int fd)'),
  mapSetMaxEntries: from<[Pointer, number], number>(
    bpfLibrary,
    'int bpf_map__set_max_entries(void *map, uint32_t maxEntries)',
  ),
  mapSetInnerFd: from<[Pointer, number], number>(
    bpfLibrary,
    'int bpf_map__set_inner_map_fd(void *map, int fd)',
  ),
  mapInitialValue: from<[Pointer, Bytes], Pointer | null>(
    bpfLibrary,
    'void *bpf_map__initial_value(void *map, void *size)',
  ),
  btfParse: from<[string], Pointer | null>(bpfLibrary, 'void *btf__parse_raw(const char *path)'),
  btfFree: from<[Pointer], void>(bpfLibrary, 'void btf__free(void *btf)'),
  btfFind: from<[Pointer, string, number], number>(
    bpfLibrary,
    'int32_t btf__find_by_name_kind(const void *btf, const char *name, uint32_t kind)',
  ),
  btfType: from<[Pointer, number], Pointer | null>(
    bpfLibrary,
    'const void *btf__type_by_id(const void *btf, uint32_t id)',
  ),
  btfName: from<[Pointer, number], string | null>(
    bpfLibrary,
    'const char *btf__name_by_offset(const void *btf, uint32_t offset)',
  ),
};

/** The functions of libc in use; each answers -1 and errno for a failure unless noted. */
export const libc = {
  /* Both shapes are of the one variadic function; on x86-64 and arm64 Linux the arguments go the same way. */
  bpfSyscall: from<[number, number, Bytes, number], number>(
    cLibrary,
    'long syscall(long number, int command, void *attr, uint32_t size)',
  ),
  syscall: from<[number, number, number, number], number>(
    cLibrary,
    'long syscall(long number, int first, int second, uint32_t third)',
  ),
  seccomp: from<[number, number, number, Bytes], number>(
    cLibrary,
    'long syscall(long number, uint32_t operation, uint32_t flags, const void *program)',
  ),
  capset: from<[Bytes, Bytes], number>(cLibrary, 'int capset(void *header, const void *data)'),
  prctl: from<[number, number, number, number, number], number>(
    cLibrary,
    'int prctl(int option, ulong second, ulong third, ulong fourth, ulong fifth)',
  ),
  dup: from<[number, number, number], number>(cLibrary, 'int fcntl(int fd, int command, int lowest)'),
  lock: from<[number, number, Bytes], number>(cLibrary, 'int fcntl(int fd, int command, void *lock)'),
  copyIn: from<[Bytes, Pointer, number], Pointer>(
    cLibrary,
    'void *memcpy(void *to, const void *from, size_t length)',
  ),
  copyOut: from<[Pointer, Bytes, number], Pointer>(
    cLibrary,
    'void *memcpy(void *to, const void *from, size_t length)',
  ),
  mmap: from<[null, number, number, number, number, number], Pointer>(
    cLibrary,
    'void *mmap(void *at, size_t length, int protection, int flags, int fd, int64_t offset)',
  ),
  mallopt: from<[number, number], number>(cLibrary, 'int mallopt(int parameter, int value)'),
  pageSize: from<[], number>(cLibrary, 'int getpagesize()'),
  mallocTrim: from<[number], number>(cLibrary, 'int malloc_trim(size_t pad)'),
  munmap: from<[Pointer, number], number>(cLibrary, 'int munmap(void *at, size_t length)'),
  mount: from<[string, string, string, number, null], number>(
    cLibrary,
    'int mount(const char *source, const char *target, const char *kind, ulong flags, const void *options)',
  ),
  setns: from<[number, number], number>(cLibrary, 'int setns(int fd, int kind)'),
  flock: from<[number, number], number>(cLibrary, 'int flock(int fd, int operation)'),
  clockGettime: from<[number, Bytes], number>(cLibrary, 'int clock_gettime(int clock, void *time)'),
  socket: from<[number, number, number], number>(cLibrary, 'int socket(int family, int kind, int protocol)'),
  sendto: from<[number, Bytes, number, number, Bytes | null, number], number>(
    cLibrary,
    'long sendto(int fd, const void *bytes, size_t length, int flags, const void *address, uint32_t addressLength)',
  ),
  connect: from<[number, Bytes, number], number>(
    cLibrary,
    'int connect(int fd, const void *address, uint32_t length)',
  ),
  getsockname: from<[number, Bytes, Bytes], number>(
    cLibrary,
    'int getsockname(int fd, void *address, void *length)',
  ),
  bind: from<[number, Bytes, number], number>(
    cLibrary,
    'int bind(int fd, const void *address, uint32_t length)',
  ),
  listen: from<[number, number], number>(cLibrary, 'int listen(int fd, int backlog)'),
  accept4: from<[number, null, null, number], number>(
    cLibrary,
    'int accept4(int fd, void *address, void *length, int flags)',
  ),
  recvfrom: from<[number, Bytes, number, number, Bytes | null, Bytes | null], number>(
    cLibrary,
    'long recvfrom(int fd, void *bytes, size_t length, int flags, void *sender, void *senderLength)',
  ),
  setsockopt: from<[number, number, number, Bytes, number], number>(
    cLibrary,
    'int setsockopt(int fd, int level, int option, const void *value, uint32_t length)',
  ),
  getsockopt: from<[number, number, number, Bytes, Bytes], number>(
    cLibrary,
    'int getsockopt(int fd, int level, int option, void *value, void *length)',
  ),
  ioctl: from<[number, number, Bytes], number>(cLibrary, 'int ioctl(int fd, ulong request, void *argument)'),
};

/** errno as the last call of this thread left it; read it before anything else is called. */
export function lastErrno(): number {
  return koffi.errno();
}

/** Where `bytes` lies, for structs that hold pointers; the caller keeps `bytes` reachable while C may use it. */
export function addressOf(bytes: Bytes): Pointer {
  return koffi.address(bytes);
}

/** `length` bytes of native memory without a copy; touching it after it was unmapped kills the process. */
export function viewOf(at: Pointer, length: number): ArrayBuffer {
  return koffi.view(at, length);
}

/** A libuv poll handle. */
export interface PollHandle {
  close(): void;
}

/** Calls `ready` with a libuv status whenever `fd` is readable; for `Readiness`, which knows the pitfalls. */
export function pollReadable(fd: number, ready: (status: number) => void): PollHandle {
  // koffi declares the callback as (events); what it passes is (status, events).
  const callback = (status: unknown) => ready(typeof status === 'number' ? status : 0);
  return koffi.node.poll(fd, { readable: true }, callback);
}
