/*
 * The few messages of containerd's API that are used here; field numbers from its api/ folder, which are frozen
 * since 1.0: services/{events,containers,tasks,namespaces}/v1, types/event.proto, types/task/task.proto,
 * events/task.proto, events/container.proto.
 */
import { BinaryWriter, WireType } from '@bufbuild/protobuf/wire';
import { boundLabels, type Description } from './container.ts';
import { Fields } from './protobuf.ts';

/** A task of a namespace: the process of a container. */
export interface Task {
  readonly namespace: string;
  readonly id: string;
  readonly pid: number;
  /** It waits to be told to start. */
  readonly isCreated: boolean;
}

/** What containerd's event stream tells, as far as it concerns us. */
export type TaskEvent =
  | {
      readonly kind: 'create' | 'start' | 'end';
      readonly namespace: string;
      readonly id: string;
      readonly pid: number;
    }
  | { readonly kind: 'exec'; readonly namespace: string; readonly id: string; readonly pid: number }
  | { readonly kind: 'update'; readonly namespace: string; readonly id: string };

/** containerd's task.Status: those of a task that has a process. */
const CREATED = 1;
const RUNNING = 2;
const PAUSED = 4;
const PAUSING = 5;

/** The topics that `decodeEvent` knows. */
const TOPICS = [
  '/tasks/create',
  '/tasks/start',
  '/tasks/exec-started',
  '/tasks/exit',
  '/tasks/delete',
  '/containers/update',
];

/** events.SubscribeRequest: any of these topics, in every namespace. */
export function encodeSubscribe(): Uint8Array {
  const writer = new BinaryWriter();
  for (const topic of TOPICS) writer.tag(1, WireType.LengthDelimited).string(`topic=="${topic}"`);
  return writer.finish();
}

/** containers.GetContainerRequest. */
export function encodeGetContainer(id: string): Uint8Array {
  return new BinaryWriter().tag(1, WireType.LengthDelimited).string(id).finish();
}

/** tasks.ListTasksRequest and namespaces.ListNamespacesRequest for all there are. */
export function encodeListAll(): Uint8Array {
  return new Uint8Array(0);
}

/** types.Envelope; `undefined` for what does not concern us. Throws RangeError. */
export function decodeEvent(bytes: Uint8Array): TaskEvent | undefined {
  const envelope = new Fields(bytes);
  const namespace = envelope.text(2);
  const event = envelope.message(4).message(2); // of google.protobuf.Any, its value
  const id = event.text(1);
  switch (envelope.text(3)) {
    case '/tasks/create':
      return { kind: 'create', namespace, id, pid: event.number(6) };
    case '/tasks/start':
      return { kind: 'start', namespace, id, pid: event.number(2) };
    case '/tasks/exec-started':
      return { kind: 'exec', namespace, id, pid: event.number(3) };
    case '/tasks/exit':
      // The end of an exec has the exec's id, that of the container's own process the container's.
      return event.text(2) === id ? { kind: 'end', namespace, id, pid: event.number(3) } : undefined;
    case '/tasks/delete':
      return ['', id].includes(event.text(5))
        ? { kind: 'end', namespace, id, pid: event.number(2) }
        : undefined;
    case '/containers/update':
      return { kind: 'update', namespace, id };
    default:
      return undefined;
  }
}

/** namespaces.ListNamespacesResponse: their names. Throws RangeError. */
export function decodeNamespaces(bytes: Uint8Array): string[] {
  return new Fields(bytes).all(1).map((each) => new Fields(each).text(1));
}

/** tasks.ListTasksResponse: those that have a process. Throws RangeError. */
export function decodeTasks(bytes: Uint8Array, namespace: string): Task[] {
  return new Fields(bytes).all(1).flatMap((each) => {
    const process = new Fields(each);
    const status = process.number(4);
    const pid = process.number(3);
    if (pid === 0 || ![CREATED, RUNNING, PAUSED, PAUSING].includes(status)) return [];
    // container_id is empty in the lists of containerd 1.x, whose id is that of the container.
    const id = process.text(1) || process.text(2);
    return [{ namespace, id, pid, isCreated: status === CREATED }];
  });
}

/** containers.GetContainerResponse, and how many of the labels were too long to keep. Throws RangeError. */
export function decodeContainer(bytes: Uint8Array): { description: Description; leftOut: number } {
  const container = new Fields(bytes).message(1);
  const { labels, leftOut } = boundLabels(container.entries(2));
  const image = container.text(3);
  return { description: { names: namesIn(labels), labels, ...(image && { image }) }, leftOut };
}

/** The labels by which nerdctl and the kubelet's CRI say what they call a container. */
const NAME_LABELS = ['nerdctl/name', 'io.kubernetes.container.name'];

function namesIn(labels: ReadonlyMap<string, string>): string[] {
  return NAME_LABELS.flatMap((label) => labels.get(label) || []);
}
