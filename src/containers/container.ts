/** Who runs containers here. */
export type Runtime = 'containerd' | 'docker' | 'podman';

/** A container that has a process. */
export interface Container {
  readonly runtime: Runtime;
  /** containerd's own; `moby` for what Docker runs. */
  readonly namespace?: string;
  readonly id: string;
  /** What its users call it: Docker's and nerdctl's name, that of a container in a pod. None of them is unique. */
  readonly names: readonly string[];
  readonly labels: ReadonlyMap<string, string>;
  /** Of its first process, in this process's pid namespace. */
  readonly pid: number;
  readonly image?: string;
}

/**
 * What befell a container. `created`: it has a cgroup, a network namespace and a process, which waits to be told to
 * start. `isHeld`: it stands still until the handler returns, and its program has not begun; without that the program
 * may begin at any moment, or has by now. `changed`: other names or labels. `exec`: another process was started in it.
 */
export type ContainerEvent =
  | { readonly kind: 'created'; readonly container: Container; readonly isHeld: boolean }
  | { readonly kind: 'started'; readonly container: Container; readonly notice: Notice }
  | { readonly kind: 'changed'; readonly container: Container }
  | { readonly kind: 'exec'; readonly container: Container; readonly pid: number }
  | { readonly kind: 'ended'; readonly container: Container };

/**
 * When a container that started was told of: `in-time` after its `created`; `late`: its runtime tells of it only when
 * it runs; `listed`: it ran when we looked.
 */
export type Notice = 'in-time' | 'late' | 'listed';

/**
 * How it stands with a runtime's socket. `following`: its containers are listed and followed. `absent`: there is no
 * such socket. `down`: it is there, and `reason` says why nothing comes from it; what ran before still counts as running.
 */
export type RuntimeState =
  | { readonly state: 'following'; readonly runtime: Runtime; readonly socket: string }
  | { readonly state: 'absent'; readonly runtime: Runtime; readonly socket: string }
  | {
      readonly state: 'down';
      readonly runtime: Runtime;
      readonly socket: string;
      readonly reason: string;
    };

/** What a runtime says of a container apart from its process. */
export type Description = Pick<Container, 'names' | 'labels' | 'image'>;

/** Bounds what is kept of one container, whatever a runtime sends: that of a Kubernetes pod has some 2 kB. */
export const MAX_LABEL_BYTES = 32 << 10;

/** Its labels within the bound, and how many were left out. Short ones first, so that one giant does not hide the rest. */
export function boundLabels(entries: Iterable<readonly [string, string]>): {
  readonly labels: ReadonlyMap<string, string>;
  readonly leftOut: number;
} {
  const sizeOf = ([key, value]: readonly [string, string]) => key.length + value.length;
  const sorted = [...entries].sort((a, b) => sizeOf(a) - sizeOf(b));
  let bytes = 0;
  const kept = sorted.filter((entry) => {
    bytes += sizeOf(entry);
    return bytes <= MAX_LABEL_BYTES;
  });
  return { labels: new Map(kept), leftOut: sorted.length - kept.length };
}

/** The same names, labels and image. */
export function isSameDescription(a: Description, b: Description): boolean {
  return (
    a.image === b.image &&
    a.names.join('\0') === b.names.join('\0') &&
    a.labels.size === b.labels.size &&
    [...a.labels].every(([key, value]) => b.labels.get(key) === value)
  );
}
