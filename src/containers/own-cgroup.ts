/** A component that says "what is from here down is this container". Short ids are ordinary words. */
const MIN_ID_DIGITS = 32;

/**
 * Where, in the path of its first process, the cgroup of the container itself ends: a container may make cgroups
 * below its own and move there, as systemd in one does. Knows the paths of Docker, Podman and Kubernetes, by cgroupfs
 * (`docker/ID`, `libpod-ID`) and by systemd (`docker-ID.scope`), and containerd's `/NAMESPACE/ID`; others are taken as
 * they are.
 */
export function ownCgroupPath(
  path: string,
  container: { readonly id: string; readonly namespace?: string },
): string {
  const components = path.split('/');
  const { id, namespace } = container;
  const isId = (component: string, i: number): boolean => {
    if (!isLongId(id)) return component === id && i > 0 && components[i - 1] === namespace;
    const unit = component.replace(/\.scope$/u, '');
    return unit === id || unit.endsWith(`-${id}`);
  };
  // The first one: those below are made by who is in it.
  const at = components.findIndex(isId);
  return at < 0 ? path : components.slice(0, at + 1).join('/');
}

/** Whether one cgroup is another or above it. */
export function holdsCgroup(path: string, other: string): boolean {
  return path === '/' || other === path || other.startsWith(`${path}/`);
}

function isLongId(id: string): boolean {
  return id.length >= MIN_ID_DIGITS && /^[0-9a-f]+$/u.test(id);
}
