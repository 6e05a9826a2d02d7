import type { Container, ContainerEvent, Runtime, RuntimeState } from './container.ts';
import { ContainerdSource, type SourceListener } from './containerd-source.ts';
import { DockerSource } from './docker-source.ts';
import { Followed } from './followed.ts';

/** The sockets of each kind of runtime. */
export interface Sockets {
  readonly containerd: readonly string[];
  readonly docker: readonly string[];
  readonly podman: readonly string[];
}

/** Where to look; what is not given comes from the environment, or is where packages put it. */
export interface WatchOptions extends Partial<Sockets> {
  /**
   * Keeps a container that was created from running until its `created` was handled (containerd, and Docker by way of
   * it): what the handler attaches is there before the first packet. One process at a time does so for a socket.
   */
  readonly hold?: boolean;
}

/** Who is told. None of them may throw. */
export interface WatchHandlers {
  onEvent(event: ContainerEvent): void;
  /** How it stands with a socket, whenever that changes. */
  onState(state: RuntimeState): void;
  /** What is worth knowing and no error of ours. */
  onRemark(text: string): void;
}

/* containerd of its own package, that which Docker starts where there is none, and that of k3s. */
const CONTAINERD_SOCKETS = [
  '/run/containerd/containerd.sock',
  '/run/docker/containerd/containerd.sock',
  '/run/k3s/containerd/containerd.sock',
];
const DOCKER_SOCKETS = ['/run/docker.sock'];
const PODMAN_SOCKETS = ['/run/podman/podman.sock'];

/** The sockets that are looked at by default. CONTAINERD_ADDRESS and DOCKER_HOST take the place of those of their kind. */
export function defaultSockets(environment: Readonly<Record<string, string | undefined>>): Sockets {
  const containerd = unixPath(environment.CONTAINERD_ADDRESS);
  const docker = unixPath(environment.DOCKER_HOST);
  return {
    containerd: containerd === undefined ? CONTAINERD_SOCKETS : [containerd],
    docker: docker === undefined ? DOCKER_SOCKETS : [docker],
    podman: PODMAN_SOCKETS,
  };
}

/**
 * Follows the containers of this host: those that run when it begins are told of as `started`, `listed`. Owns the
 * connections to the runtimes' sockets, which may come, go and come again; keeps the event loop alive until closed.
 */
export class ContainerWatch implements Disposable {
  /** Resolves when each socket was listed, or was found absent or down. */
  readonly ready: Promise<void>;
  readonly #followed: Followed;
  readonly #sources: Disposable[] = [];
  readonly #states = new Map<string, RuntimeState>();
  #isClosed = false;

  /** Use `watchContainers`. */
  constructor(sockets: Sockets, holds: boolean, handlers: WatchHandlers) {
    this.#followed = new Followed(
      (event) => this.#isClosed || handlers.onEvent(event),
      (text) => this.#isClosed || handlers.onRemark(text),
    );
    let onReady = () => {};
    this.ready = new Promise((resolve) => {
      onReady = resolve;
    });
    const containerdSockets = new Set(sockets.containerd);
    // DOCKER_HOST may name Podman's.
    const dockerSockets = new Map<string, Runtime>([
      ...sockets.podman.map((socket) => [socket, 'podman'] as const),
      ...sockets.docker.map((socket) => [socket, 'docker'] as const),
    ]);
    // One socket is of one daemon, and told of once.
    for (const socket of containerdSockets) dockerSockets.delete(socket);
    const wanted = containerdSockets.size + dockerSockets.size;
    if (wanted === 0) onReady();
    const listener: SourceListener = {
      onRemark: (text) => this.#isClosed || handlers.onRemark(text),
      onState: (state) => {
        this.#states.set(state.socket, state);
        if (!this.#isClosed) handlers.onState(state);
        if (this.#states.size === wanted) onReady();
      },
    };
    const dockers = [...dockerSockets].map(
      ([socket, runtime]) => new DockerSource(runtime, socket, this.#followed, listener),
    );
    const describeDocker = async (id: string) => {
      for (const source of dockers) {
        const description = await source.describe(id);
        if (description) return description;
      }
      return undefined;
    };
    const containerds = [...containerdSockets].map(
      (socket) => new ContainerdSource(socket, holds, this.#followed, describeDocker, listener),
    );
    this.#sources.push(...dockers, ...containerds);
  }

  /** Those that run now. */
  get containers(): readonly Container[] {
    return this.#followed.containers;
  }

  /** How it stands with each socket that was looked at. */
  get states(): readonly RuntimeState[] {
    return [...this.#states.values()];
  }

  /** Idempotent; nothing is told after it. */
  close(): void {
    this.#isClosed = true;
    for (const source of this.#sources.splice(0)) source[Symbol.dispose]();
  }

  [Symbol.dispose](): void {
    this.close();
  }
}

/** Begins to follow the containers of this host. Never throws for what a runtime does: that is a state or a remark. */
export function watchContainers(options: WatchOptions, handlers: WatchHandlers): ContainerWatch {
  const { hold = false, ...sockets } = options;
  return new ContainerWatch({ ...defaultSockets(process.env), ...sockets }, hold, handlers);
}

/* Both variables hold a path or a URL; one that is not of a unix socket is none of this host. */
function unixPath(address: string | undefined): string | undefined {
  if (!address) return undefined;
  const path = address.replace(/^unix:(?:\/\/)?/u, '');
  return path.startsWith('/') ? path : undefined;
}
