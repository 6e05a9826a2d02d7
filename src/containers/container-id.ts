/* As runtimes make them: 64 digits. A word of an owner's own is not taken for one. */
const COMPONENT = /^(?:.+-)?([0-9a-f]{64})(?:\.scope)?$/u;
/* Podman's and CRI-O's monitors are beside the container, not in it. */
const MONITOR = /-conmon-/u;

/**
 * The id of the container that a cgroup belongs to, by the path that its runtime gave it: `docker/ID`,
 * `docker-ID.scope`, `libpod-ID.scope/container`, `kubepods…/podUID/ID`, `cri-containerd-ID.scope`. `undefined` for a
 * cgroup of no container, and for containerd's `/NAMESPACE/NAME`, which could be anything.
 */
export function containerIdOf(path: string): string | undefined {
  for (const component of path.split('/')) {
    const id = MONITOR.test(component) ? undefined : COMPONENT.exec(component)?.[1];
    if (id !== undefined) return id; // the first: what is below it was made by who is in it
  }
  return undefined;
}
