import type { ContainerEvent, RuntimeState } from '../../src/containers/container.ts';
import { type ContainerWatch, type WatchOptions, watchContainers } from '../../src/containers/watch.ts';
import { until } from '../lab/wait.ts';

const LIMIT_MS = 15_000;

/** A watch and all that it told, oldest first. */
export class Recorder implements Disposable {
  readonly watch: ContainerWatch;
  readonly events: ContainerEvent[] = [];
  readonly states: RuntimeState[] = [];
  readonly remarks: string[] = [];

  /** @param sockets those that are not given are not looked at @param onEvent called before an event is recorded */
  constructor(sockets: WatchOptions, onEvent: (event: ContainerEvent) => void = () => {}) {
    this.watch = watchContainers(
      { containerd: [], docker: [], podman: [], ...sockets },
      {
        onEvent: (event) => {
          onEvent(event);
          this.events.push(event);
        },
        onState: (state) => this.states.push(state),
        onRemark: (text) => this.remarks.push(text),
      },
    );
  }

  /** Resolves with the first event, of those from number `from` on, that is of this kind and about this id. */
  async event<K extends ContainerEvent['kind']>(
    kind: K,
    id: string,
    from = 0,
  ): Promise<ContainerEvent & { readonly kind: K }> {
    const isWanted = (event: ContainerEvent): event is ContainerEvent & { readonly kind: K } =>
      event.kind === kind && event.container.id === id;
    return until(() => this.events.slice(from).find(isWanted), {
      limitMs: LIMIT_MS,
      what: `"${kind}" of container "${id}", told: ${this.summary().join(', ')}`,
    });
  }

  /** Resolves with the first state, of those from number `from` on, that is this one. */
  async state(name: RuntimeState['state'], from = 0): Promise<RuntimeState> {
    return until(() => this.states.slice(from).find(({ state }) => state === name), {
      limitMs: LIMIT_MS,
      what: `state "${name}"`,
    });
  }

  /** `kind id` of each event. */
  summary(): string[] {
    return this.events.map(({ kind, container }) => `${kind} ${container.id}`);
  }

  close(): void {
    this.watch.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }
}
