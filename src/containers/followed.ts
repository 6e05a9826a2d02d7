import { existsSync } from 'node:fs';
import {
  type Container,
  type ContainerEvent,
  type Description,
  isSameDescription,
  type Notice,
  type Runtime,
} from './container.ts';

/** One socket that tells of containers. */
export interface Source {
  readonly socket: string;
}

/** A process of a container, as a source tells of it. */
export interface Sighting {
  readonly runtime: Runtime;
  readonly namespace?: string;
  readonly id: string;
  readonly pid: number;
  readonly phase: 'created' | 'started';
  /** It stands still until all were told, and its program has not begun. */
  readonly isHeld?: boolean;
  /** When it is first told of as started. */
  readonly notice: Exclude<Notice, 'in-time'>;
}

/** Bounds the memory, whatever a runtime tells: a Kubernetes node has some hundred. */
export const MAX_CONTAINERS = 4096;

interface Entry {
  container: Container;
  phase: Sighting['phase'];
  source: Source;
  /** The place, in the order of all that was told, of the last word about it. */
  touched: number;
}

/**
 * The containers that run now, from all sources together: what Docker runs is told of by containerd, too, and sooner.
 * A container belongs to the source that told of its start first, and containerd takes it over.
 */
export class Followed {
  readonly #entries = new Map<string, Entry>();
  readonly #onEvent: (event: ContainerEvent) => void;
  readonly #onRemark: (text: string) => void;
  #clock = 0;
  #refused = 0;

  constructor(onEvent: (event: ContainerEvent) => void, onRemark: (text: string) => void) {
    this.#onEvent = onEvent;
    this.#onRemark = onRemark;
  }

  /** Those that run now. */
  get containers(): readonly Container[] {
    return [...this.#entries.values()].map(({ container }) => container);
  }

  /** Containers that were not taken because there were too many. */
  get refused(): number {
    return this.#refused;
  }

  /** The place in the order of what was told; for `listed`. */
  now(): number {
    return this.#clock;
  }

  /** What is known of one whose process is this one; undefined when it is not followed. */
  descriptionOf(sighting: Pick<Sighting, 'id' | 'namespace' | 'pid'>): Description | undefined {
    const container = this.#entries.get(keyOf(sighting))?.container;
    return container?.pid === sighting.pid ? container : undefined;
  }

  /** A process was seen. Another pid than before: that one ended. */
  seen(source: Source, sighting: Sighting, description: Description): void {
    const key = keyOf(sighting);
    const entry = this.#entries.get(key);
    if (entry && entry.container.pid !== sighting.pid) {
      if (entry.source !== source && isRunning(entry.container)) return; // what it tells is older than what we know
      this.#end(key, entry);
      this.#begin(key, source, sighting, description);
    } else if (entry) {
      this.#meetAgain(entry, source, sighting, description);
    } else {
      this.#begin(key, source, sighting, description);
    }
  }

  /** Other names or labels of one that runs. */
  described(id: Pick<Sighting, 'id' | 'namespace'>, description: Description): void {
    const entry = this.#entries.get(keyOf(id));
    if (entry) this.#describe(entry, description);
  }

  /** A further process was started in one that runs. */
  execStarted(id: Pick<Sighting, 'id' | 'namespace'>, pid: number): void {
    const entry = this.#entries.get(keyOf(id));
    if (entry) this.#onEvent({ kind: 'exec', container: entry.container, pid });
  }

  /** It ended. `pid`: unless it has another one by now. */
  ended(source: Source, id: Pick<Sighting, 'id' | 'namespace'>, pid?: number): void {
    const key = keyOf(id);
    const entry = this.#entries.get(key);
    if (!entry || entry.source !== source) return;
    if (pid === undefined || pid === entry.container.pid) this.#end(key, entry);
  }

  /**
   * The source listed all that run: `ids` are those of its own; what else it told of before `since` ended.
   * A container that a daemon in trouble leaves out of the list, though its process is there, stays.
   */
  listed(source: Source, ids: readonly Pick<Sighting, 'id' | 'namespace'>[], since: number): void {
    const keys = new Set(ids.map(keyOf));
    for (const [key, entry] of this.#entries) {
      if (entry.source !== source || entry.touched > since || keys.has(key)) continue;
      if (!isRunning(entry.container)) this.#end(key, entry);
    }
  }

  #begin(key: string, source: Source, sighting: Sighting, description: Description): void {
    if (this.#entries.size >= MAX_CONTAINERS) {
      if (this.#refused === 0) {
        this.#onRemark(
          `more than ${MAX_CONTAINERS} containers run: container "${sighting.id}" and others are not followed`,
        );
      }
      this.#refused += 1;
      return;
    }
    const { runtime, namespace, id, pid, phase } = sighting;
    const container: Container = {
      runtime,
      ...(namespace !== undefined && { namespace }),
      id,
      pid,
      ...pick(description),
    };
    this.#entries.set(key, { container, phase, source, touched: ++this.#clock });
    if (phase === 'created') this.#onEvent({ kind: 'created', container, isHeld: sighting.isHeld === true });
    else this.#onEvent({ kind: 'started', container, notice: sighting.notice });
  }

  #meetAgain(entry: Entry, source: Source, sighting: Sighting, description: Description): void {
    entry.touched = ++this.#clock;
    if (sighting.namespace !== undefined) {
      entry.source = source; // containerd's word
      entry.container = { ...entry.container, namespace: sighting.namespace };
    }
    this.#describe(entry, description);
    if (entry.phase === 'created' && sighting.phase === 'started') {
      entry.phase = 'started';
      this.#onEvent({ kind: 'started', container: entry.container, notice: 'in-time' });
    }
  }

  #describe(entry: Entry, description: Description): void {
    if (isSameDescription(entry.container, description)) return;
    const { runtime, namespace, id, pid } = entry.container;
    entry.container = {
      runtime,
      ...(namespace !== undefined && { namespace }),
      id,
      pid,
      ...pick(description),
    };
    this.#onEvent({ kind: 'changed', container: entry.container });
  }

  #end(key: string, entry: Entry): void {
    this.#entries.delete(key);
    this.#onEvent({ kind: 'ended', container: entry.container });
  }
}

/** The namespace of containerd in which Docker runs its containers. */
export const DOCKER_NAMESPACE = 'moby';

/* Docker tells of the same containers as containerd does in its namespace. */
function keyOf({ namespace = DOCKER_NAMESPACE, id }: Pick<Sighting, 'id' | 'namespace'>): string {
  return `${namespace}/${id}`;
}

function pick({ names, labels, image }: Description): Description {
  return { names, labels, ...(image !== undefined && { image }) };
}

function isRunning({ pid }: Container): boolean {
  return existsSync(`/proc/${pid}`);
}
