import { SystemError } from '../errors.ts';
import type { Description, Runtime } from './container.ts';
import type { SourceListener } from './containerd-source.ts';
import {
  type DockerEvent,
  type Listed,
  parseContainerList,
  parseEvent,
  parsePid,
  parseVersion,
} from './docker-messages.ts';
import { type Followed, MAX_CONTAINERS, type Sighting, type Source } from './followed.ts';
import type { KeyedQueue } from './keyed-queue.ts';
import { Reconnecting, wait } from './reconnect.ts';
import { runSession } from './session.ts';
import { followLines, getJson } from './unix-http.ts';

const LIST_LIMIT_BYTES = 32 << 20;
const LIMIT_BYTES = 4 << 20;
const LINE_LIMIT_BYTES = 1 << 20;
const LIST_MS = 60_000;
/** Who asks may hold a container meanwhile. */
const DESCRIBE_LIMIT_MS = 1_000;
const EVENTS = `filters=${encodeURIComponent('{"type":["container"]}')}`;

/**
 * Follows the containers behind one socket of Docker or Podman. Both tell of a container's process when it runs
 * already; what Docker calls its containers is known when they are created, long before that.
 */
export class DockerSource implements Source, Disposable {
  readonly socket: string;
  readonly #followed: Followed;
  readonly #listener: SourceListener;
  readonly #connection: Reconnecting;
  /** Of all containers, those without a process too. */
  readonly #descriptions = new Map<string, Description>();
  #runtime: Runtime;
  #signal: AbortSignal | undefined;

  /** @param runtime what is there by the socket's name; the daemon itself says what it is */
  constructor(runtime: Runtime, socket: string, followed: Followed, listener: SourceListener) {
    this.socket = socket;
    this.#runtime = runtime;
    this.#followed = followed;
    this.#listener = listener;
    this.#connection = new Reconnecting(
      runtime,
      socket,
      (onFollowing, signal) => this.#follow(onFollowing, signal),
      (state) => listener.onState(state),
    );
  }

  /** What Docker calls a container; undefined when it knows none of that id, can't be asked, or is Podman. */
  async describe(id: string): Promise<Description | undefined> {
    const known = this.#descriptions.get(id);
    const signal = this.#signal;
    if (known || this.#runtime !== 'docker' || signal === undefined || signal.aborted) return known;
    try {
      return await this.#refresh(id, AbortSignal.any([signal, AbortSignal.timeout(DESCRIBE_LIMIT_MS)]));
    } catch {
      return undefined; // its own connection tells what is wrong with it
    }
  }

  /** Idempotent. */
  close(): void {
    this.#connection.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  async #follow(onFollowing: (runtime: Runtime) => void, closing: AbortSignal): Promise<void> {
    try {
      await runSession(closing, async (queue, signal) => {
        this.#runtime = parseVersion(await getJson(this.socket, '/version', LIMIT_BYTES, signal));
        let opened = () => {};
        const open = new Promise<void>((resolve) => {
          opened = resolve;
        });
        const subscribed = this.#subscribe(queue, opened, signal);
        const listed = open.then(() => this.#keepListing(queue, () => onFollowing(this.#runtime), signal));
        await Promise.race([subscribed, listed]);
      });
    } finally {
      this.#signal = undefined;
    }
  }

  /* Docker answers before it has subscribed us: what comes in between it tells with the past. */
  #subscribe(queue: KeyedQueue, onOpen: () => void, signal: AbortSignal): Promise<void> {
    const path = `/events?since=${Math.floor(Date.now() / 1000)}&${EVENTS}`;
    return followLines(this.socket, path, LINE_LIMIT_BYTES, signal, onOpen, async (line) => {
      const event = parseEvent(line);
      if (event) void queue.run(event.id, () => this.#take(event, signal));
      await queue.room();
    });
  }

  async #keepListing(queue: KeyedQueue, onFollowing: () => void, signal: AbortSignal): Promise<void> {
    await this.#list(queue, signal);
    if (signal.aborted) return;
    this.#signal = signal;
    onFollowing();
    while (!signal.aborted) {
      await wait(LIST_MS, signal);
      if (!signal.aborted) await this.#list(queue, signal);
    }
  }

  async #list(queue: KeyedQueue, signal: AbortSignal): Promise<void> {
    const since = this.#followed.now();
    const containers = await this.#getList('all=1', LIST_LIMIT_BYTES, signal);
    const ids = new Set(containers.map(({ id }) => id));
    for (const id of this.#descriptions.keys()) if (!ids.has(id)) this.#descriptions.delete(id);
    for (const each of containers) this.#keep(each);
    const running = containers.filter(({ hasProcess }) => hasProcess);
    for (const { id } of running) await queue.run(id, () => this.#look(id, 'listed', signal));
    if (!signal.aborted) this.#followed.listed(this, running, since);
  }

  async #take(event: DockerEvent, signal: AbortSignal): Promise<void> {
    switch (event.kind) {
      case 'process':
        return this.#look(event.id, 'late', signal);
      case 'description':
        await this.#refresh(event.id, signal);
        return;
      case 'gone':
        this.#descriptions.delete(event.id);
        return;
      default:
        return event.kind satisfies never;
    }
  }

  /* Docker keeps a container locked while it starts: the answer comes when that is done. */
  async #look(id: string, notice: Sighting['notice'], signal: AbortSignal): Promise<void> {
    const pid = await this.#pidOf(id, signal);
    if (signal.aborted) return;
    if (pid === undefined) return this.#followed.ended(this, { id });
    const description = this.#descriptions.get(id) ??
      (await this.#refresh(id, signal)) ?? { names: [], labels: new Map() };
    if (signal.aborted) return;
    this.#followed.seen(this, { runtime: this.#runtime, id, pid, phase: 'started', notice }, description);
  }

  async #pidOf(id: string, signal: AbortSignal): Promise<number | undefined> {
    try {
      return parsePid(await getJson(this.socket, `/containers/${id}/json`, LIMIT_BYTES, signal));
    } catch (thrown) {
      if (thrown instanceof SystemError && thrown.code === '404') return undefined; // it is gone
      throw thrown;
    }
  }

  /* From the list and not from the container itself, which is locked while it starts. */
  async #refresh(id: string, signal: AbortSignal): Promise<Description | undefined> {
    const filter = `all=1&filters=${encodeURIComponent(JSON.stringify({ id: [id] }))}`;
    const containers = await this.#getList(filter, LIMIT_BYTES, signal);
    const found = containers.find((each) => each.id === id);
    if (!found || signal.aborted) return undefined;
    this.#keep(found);
    return found.description;
  }

  async #getList(query: string, limitBytes: number, signal: AbortSignal): Promise<Listed[]> {
    return parseContainerList(await getJson(this.socket, `/containers/json?${query}`, limitBytes, signal));
  }

  #keep({ id, description, leftOut }: Listed): void {
    if (leftOut > 0 && !this.#descriptions.has(id)) {
      this.#listener.onRemark(`container "${id}": ${leftOut} labels are too long together and do not count`);
    }
    this.#descriptions.set(id, description);
    if (this.#descriptions.size > MAX_CONTAINERS) {
      const [oldest] = this.#descriptions.keys();
      if (oldest !== undefined) this.#descriptions.delete(oldest);
    }
    this.#followed.described({ id }, description);
  }
}
