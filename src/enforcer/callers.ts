import { containerIdOf } from '../containers/container-id.ts';
import type { RawProcess } from '../datapath/event.ts';
import { cgroupPath, programPath } from '../datapath/kernel-path.ts';
import type { MapSource } from '../datapath/state.ts';
import type { Process } from '../flow/event.ts';

const SHORT_ID_DIGITS = 12;
/** Paths that are remembered of each kind: events come in series. */
const REMEMBERED = 256;

/** Puts what the kernel noted of a caller into words: its program, its cgroup, its container. */
export class Callers {
  readonly #maps: MapSource;
  readonly #containerAt: (cgroup: string) => string | undefined;
  readonly #programs = new Map<string, string>();
  readonly #cgroups = new Map<bigint, string>();

  /** @param containerAt the name of the container that is followed in a cgroup, or in one above it */
  constructor(maps: MapSource, containerAt: (cgroup: string) => string | undefined) {
    this.#maps = maps;
    this.#containerAt = containerAt;
  }

  /** Throws SystemError. */
  describe(raw: RawProcess): Process {
    const { pid, uid, comm, startedNs, execId, cgroupId } = raw;
    const exe = remembered(this.#programs, `${startedNs} ${pid} ${execId}`, () =>
      programPath(this.#maps, raw),
    );
    const cgroup = remembered(this.#cgroups, cgroupId, () => cgroupPath(this.#maps, cgroupId));
    const container = cgroup === undefined ? undefined : this.#containerOf(cgroup);
    return {
      pid,
      uid,
      comm,
      ...(exe !== undefined && { exe }),
      ...(cgroup !== undefined && { cgroup }),
      ...(container !== undefined && { container }),
    };
  }

  #containerOf(cgroup: string): string | undefined {
    return this.#containerAt(cgroup) ?? containerIdOf(cgroup)?.slice(0, SHORT_ID_DIGITS);
  }
}

function remembered<Key>(
  texts: Map<Key, string>,
  key: Key,
  find: () => string | undefined,
): string | undefined {
  const known = texts.get(key);
  if (known !== undefined) return known;
  const found = find();
  if (texts.size >= REMEMBERED) texts.clear();
  if (found !== undefined) texts.set(key, found);
  return found;
}
