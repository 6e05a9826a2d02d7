import type { Description } from './container.ts';
import {
  decodeContainer,
  decodeEvent,
  decodeNamespaces,
  decodeTasks,
  encodeGetContainer,
  encodeListAll,
  encodeSubscribe,
  type Task,
  type TaskEvent,
} from './containerd-messages.ts';
import { GrpcClient } from './grpc-client.ts';

/** What containerd's own clients allow an answer (defaults.DefaultMaxRecvMsgSize). */
const LIMIT_BYTES = 16 << 20;
/** An event is some 100 bytes; that of a create has the mounts of the root in it. */
const EVENT_LIMIT_BYTES = 1 << 20;

/** The calls of containerd's API that are made here. Owns the connection; what is in the way is a SystemError. */
export class ContainerdClient implements Disposable {
  readonly #client: GrpcClient;

  constructor(socketPath: string) {
    this.#client = new GrpcClient(socketPath);
  }

  /** Calls `onEvent` with what befalls tasks of every namespace; rejects when the connection ends. */
  subscribe(onEvent: (event: TaskEvent) => void | Promise<void>): Promise<void> {
    return this.#client.stream(
      '/containerd.services.events.v1.Events/Subscribe',
      encodeSubscribe(),
      { limitBytes: EVENT_LIMIT_BYTES },
      async (message) => {
        const event = decodeEvent(message);
        if (event) await onEvent(event);
      },
    );
  }

  /** The tasks that have a process, of every namespace. */
  async listTasks(): Promise<Task[]> {
    const namespaces = decodeNamespaces(
      await this.#client.call('/containerd.services.namespaces.v1.Namespaces/List', encodeListAll(), {
        limitBytes: LIMIT_BYTES,
      }),
    );
    const tasks: Task[] = [];
    for (const namespace of namespaces) {
      const options = { namespace, limitBytes: LIMIT_BYTES };
      const answer = await this.#client.call(
        '/containerd.services.tasks.v1.Tasks/List',
        encodeListAll(),
        options,
      );
      tasks.push(...decodeTasks(answer, namespace));
    }
    return tasks;
  }

  /** What a container is called, and how many of its labels were too long to keep. */
  async describe(namespace: string, id: string): Promise<{ description: Description; leftOut: number }> {
    const options = { namespace, limitBytes: LIMIT_BYTES };
    return decodeContainer(
      await this.#client.call(
        '/containerd.services.containers.v1.Containers/Get',
        encodeGetContainer(id),
        options,
      ),
    );
  }

  /** Idempotent; rejects what is under way. */
  close(): void {
    this.#client.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }
}
