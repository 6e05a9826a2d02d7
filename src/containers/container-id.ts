/*
 * Where runtimes of the system make cgroups, and only root can: the system's systemd in slices, which are never
 * delegated (a service or a scope may be, with all that is below it), others right below the root. What users run is
 * in user.slice, and whose name it has there is theirs to say.
 */
const PLACES: readonly RegExp[] = [
  /^\/(?!user\.slice\/)(?:[^/]+\.slice\/)+(?:docker|libpod|crio|cri-containerd|nerdctl)-([0-9a-f]{64})\.scope(?:\/|$)/u,
  /^\/(?:docker|default|moby|k8s\.io)\/([0-9a-f]{64})(?:\/|$)/u,
  /^\/libpod_parent\/libpod-([0-9a-f]{64})(?:\/|$)/u,
  /^\/kubepods\/(?:(?:burstable|besteffort)\/)?pod[^/]+\/(?:crio-|cri-containerd-)?([0-9a-f]{64})(?:\/|$)/u,
];

/**
 * The id of the container that a cgroup belongs to, by the path that its runtime gave it: `/docker/ID`,
 * `/system.slice/docker-ID.scope`, `/machine.slice/libpod-ID.scope/container`, `/kubepods…/podUID/ID` and the like; of
 * containers in containers the outermost. `undefined` for a cgroup of no container, where it could be of a user's own
 * making, and for containerd's `/NAMESPACE/NAME`, which could be anything.
 */
export function containerIdOf(path: string): string | undefined {
  for (const place of PLACES) {
    const id = place.exec(path)?.[1];
    if (id !== undefined) return id;
  }
  return undefined;
}
