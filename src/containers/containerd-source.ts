import { existsSync } from 'node:fs';
import { dirname } from 'node:path';
import { SystemError } from '../errors.ts';
import { lockDirectory } from '../libbpf/flock.ts';
import type { Description, RuntimeState } from './container.ts';
import { ContainerdClient } from './containerd-client.ts';
import type { Task, TaskEvent } from './containerd-messages.ts';
import { DOCKER_NAMESPACE, type Followed, type Sighting, type Source } from './followed.ts';
import type { KeyedQueue } from './keyed-queue.ts';
import { Reconnecting, wait } from './reconnect.ts';
import { runSession } from './session.ts';
import { TaskHold } from './task-hold.ts';

/** What a source tells whoever watches, apart from containers. */
export interface SourceListener {
  onState(state: RuntimeState): void;
  onRemark(text: string): void;
}

/** Names and labels that Docker has for a container; undefined where Docker is not there. */
export type DescribeDocker = (id: string) => Promise<Description | undefined>;

/**
 * After the first list: containerd does not say when a subscription holds, so a task that starts meanwhile could be
 * in neither. Later lists are for what no event told.
 */
const SECOND_LIST_MS = 1_000;
const LIST_MS = 60_000;

/** Follows the containers behind one socket of containerd. */
export class ContainerdSource implements Source, Disposable {
  readonly socket: string;
  readonly #holds: boolean;
  /** Nobody else holds the containers of this socket: one would let go for the other. */
  #mayHold = false;
  readonly #followed: Followed;
  readonly #describeDocker: DescribeDocker;
  readonly #listener: SourceListener;
  readonly #connection: Reconnecting;
  /** Tasks that ended while a list was under way, which may still have them. */
  #endedWhileListing: Set<string> | undefined;

  /** @param holds whether a process that was created stands still until its `created` was handled */
  constructor(
    socket: string,
    holds: boolean,
    followed: Followed,
    describeDocker: DescribeDocker,
    listener: SourceListener,
  ) {
    this.socket = socket;
    this.#holds = holds;
    this.#followed = followed;
    this.#describeDocker = describeDocker;
    this.#listener = listener;
    this.#connection = new Reconnecting(
      'containerd',
      socket,
      (onFollowing, signal) => this.#follow(() => onFollowing('containerd'), signal),
      (state) => listener.onState(state),
    );
  }

  /** Idempotent. */
  close(): void {
    this.#connection.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  async #follow(onFollowing: () => void, closing: AbortSignal): Promise<void> {
    using client = new ContainerdClient(this.socket);
    const directory = dirname(this.socket);
    using lock = this.#holds && existsSync(directory) ? lockDirectory(directory) : undefined;
    if (this.#holds && existsSync(this.socket) && !lock) {
      this.#listener.onRemark(
        `another enforcer holds the containers of ${this.socket} before they start: ours may be late for their first packets`,
      );
    }
    this.#mayHold = lock !== undefined;
    await runSession(closing, async (queue, signal) => {
      const subscribed = client.subscribe(async (event) => {
        void queue.run(keyOf(event), () => this.#take(client, event, signal));
        await queue.room();
      });
      await Promise.race([subscribed, this.#keepListing(client, queue, onFollowing, signal)]);
    });
  }

  async #keepListing(
    client: ContainerdClient,
    queue: KeyedQueue,
    onFollowing: () => void,
    signal: AbortSignal,
  ): Promise<void> {
    await this.#list(client, queue, signal);
    if (!signal.aborted) onFollowing();
    for (let waitMs = SECOND_LIST_MS; !signal.aborted; waitMs = LIST_MS) {
      await wait(waitMs, signal);
      if (!signal.aborted) await this.#list(client, queue, signal);
    }
  }

  async #list(client: ContainerdClient, queue: KeyedQueue, signal: AbortSignal): Promise<void> {
    const since = this.#followed.now();
    const ended = new Set<string>();
    this.#endedWhileListing = ended;
    const tasks = await client.listTasks();
    for (const task of tasks) {
      await queue.run(keyOf(task), async () => {
        if (!ended.has(`${keyOf(task)}/${task.pid}`)) await this.#see(client, task, 'listed', signal);
      });
    }
    this.#endedWhileListing = undefined;
    if (!signal.aborted) this.#followed.listed(this, tasks, since);
  }

  async #take(client: ContainerdClient, event: TaskEvent, signal: AbortSignal): Promise<void> {
    switch (event.kind) {
      case 'create':
      case 'start':
        return this.#see(client, { ...event, isCreated: event.kind === 'create' }, 'late', signal);
      case 'end':
        this.#endedWhileListing?.add(`${keyOf(event)}/${event.pid}`);
        return this.#followed.ended(this, event, event.pid);
      case 'exec':
        return this.#followed.execStarted(event, event.pid);
      case 'update': {
        const description = await this.#describe(client, event);
        if (!signal.aborted) this.#followed.described(event, description);
        return;
      }
      default:
        return event satisfies never;
    }
  }

  async #see(
    client: ContainerdClient,
    task: Task,
    notice: Sighting['notice'],
    signal: AbortSignal,
  ): Promise<void> {
    const sighting = {
      runtime: task.namespace === DOCKER_NAMESPACE ? 'docker' : 'containerd',
      namespace: task.namespace,
      id: task.id,
      pid: task.pid,
      phase: task.isCreated ? 'created' : 'started',
      notice,
    } as const;
    const known = this.#followed.descriptionOf(sighting);
    // Before anything is asked: the program begins some milliseconds after the event.
    using hold = this.#mayHold && task.isCreated && !known ? new TaskHold(task.pid) : undefined;
    const description = known ?? (await this.#describe(client, task));
    const isHeld = (await hold?.isCertain()) ?? false;
    if (!signal.aborted) this.#followed.seen(this, { ...sighting, isHeld }, description);
  }

  async #describe(
    client: ContainerdClient,
    { namespace, id }: Pick<Task, 'namespace' | 'id'>,
  ): Promise<Description> {
    const known = namespace === DOCKER_NAMESPACE ? await this.#describeDocker(id) : undefined;
    if (known) return known;
    try {
      const { description, leftOut } = await client.describe(namespace, id);
      if (leftOut > 0) {
        this.#listener.onRemark(
          `container "${id}": ${leftOut} labels are too long together and do not count`,
        );
      }
      return description;
    } catch (thrown) {
      // A task without a record of its container, or one that is gone already: its id is all that is known.
      if (thrown instanceof SystemError && thrown.code === 'NOT_FOUND')
        return { names: [], labels: new Map() };
      throw thrown;
    }
  }
}

function keyOf({ namespace, id }: Pick<Task, 'namespace' | 'id'>): string {
  return `${namespace}/${id}`;
}
