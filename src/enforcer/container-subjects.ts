import { readFileSync } from 'node:fs';
import type { Container, ContainerEvent, RuntimeState } from '../containers/container.ts';
import { matchesContainer } from '../containers/matches.ts';
import { holdsCgroup } from '../containers/own-cgroup.ts';
import { openTaskCgroup, removeEmptyTaskCgroups, type TaskCgroup } from '../containers/task-cgroup.ts';
import { netnsOfPid } from '../containers/task-netns.ts';
import { type ContainerWatch, watchContainers } from '../containers/watch.ts';
import { parseResolvConf } from '../dns/resolv-conf.ts';
import { isLoopback, type Resolver } from '../dns/resolver.ts';
import { SystemError, UnsupportedError, UsageError } from '../errors.ts';
import type { Level } from '../flow/level.ts';
import { cgroupDirectory } from '../libbpf/cgroup2.ts';
import { isContainerSubject, subjectText } from '../policy/subject.ts';
import { placeAt } from './cgroup-place.ts';
import { cookieOf, netnsInode } from './netns.ts';
import { formatResolver } from './resolvers.ts';
import type { NumberedSubject, PlacedSubject } from './subjects.ts';
import { ANY_PORT } from './trust.ts';

/** A container whose processes a policy is in force on. */
interface Followed {
  readonly container: Container;
  readonly cgroup: TaskCgroup;
  readonly place: Omit<PlacedSubject, 'policyId'>;
  readonly subject: string;
}

/** What it needs of the enforcer. */
export interface ContainerContext {
  subjects(): readonly NumberedSubject[];
  /** Puts the policy in force before it returns: the container may be waiting for it. Throws SystemError. */
  place(placed: PlacedSubject): void;
  remove(placed: PlacedSubject): void;
  /** Those that a policy trusts, whatever containers say. */
  trusted(policyId: number): readonly Resolver[];
  /** Trusts also what the runtime gave a container, before the container could change it. */
  trust(policyId: number, resolvers: readonly Resolver[]): void;
  remark(text: string, level?: Level): void;
}

/** Follows the containers of subjects: a policy is in force on each while it runs. */
export class ContainerSubjects implements Disposable {
  /** Resolves when those that run are known, and their policies in force. */
  readonly ready: Promise<void>;
  readonly #context: ContainerContext;
  readonly #followed = new Map<string, Followed>();
  readonly #watch: ContainerWatch;

  constructor(context: ContainerContext) {
    this.#context = context;
    removeEmptyTaskCgroups();
    this.#watch = watchContainers(
      { hold: true },
      {
        onEvent: (event) => this.#take(event),
        onState: (state) => this.#tellState(state),
        onRemark: (text) => context.remark(text, 'warning'),
      },
    );
    this.ready = this.#watch.ready.then(() => this.#tellAbsence());
  }

  /** Where the subjects' policies are in force. */
  places(subjects: readonly NumberedSubject[]): PlacedSubject[] {
    return [...this.#followed.values()].flatMap(({ place, container }) => {
      const [found] = subjectsFor(subjects, container);
      return found ? [{ ...place, policyId: found.policyId }] : [];
    });
  }

  /** The name of the container in whose cgroup, by its path in the cgroup2 tree, a process is. */
  nameAt(path: string): string | undefined {
    if (this.#followed.size === 0) return undefined;
    const directory = cgroupDirectory(path);
    const found = [...this.#followed.values()].find(({ place }) => holdsCgroup(place.path, directory));
    return found && (found.container.names[0] ?? found.container.id.slice(0, 12));
  }

  /** Other subjects than before: looks at all that run. */
  rematch(): void {
    for (const container of this.#watch.containers)
      this.#follow(container, 'it ran before the policy changed');
  }

  /** Idempotent. What is in force stays so. */
  close(): void {
    this.#watch.close();
  }

  /** Gives back the cgroups that were made for containers: nothing is in force on them any more. */
  release(): void {
    this.close();
    for (const { cgroup } of this.#followed.values()) cgroup.close();
    this.#followed.clear();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  #take(event: ContainerEvent): void {
    const { container } = event;
    switch (event.kind) {
      case 'created':
        this.#follow(
          container,
          event.isHeld ? undefined : 'it could not be held before its start',
          event.isHeld,
        );
        return;
      case 'started':
        if (event.notice !== 'in-time')
          this.#follow(
            container,
            event.notice === 'listed' ? 'it ran before us' : 'its runtime tells of it only when it runs',
          );
        return;
      case 'changed':
        this.#follow(container, 'its name or labels are new');
        return;
      case 'exec':
        this.#adopt(container, event.pid);
        return;
      case 'ended':
        this.#end(container);
        return;
      default:
        event satisfies never;
    }
  }

  /* `late`: why packets may have passed before, for the owner. */
  #follow(container: Container, late: string | undefined, isHeld = false): void {
    const [found, ...others] = subjectsFor(this.#context.subjects(), container);
    const known = this.#followed.get(keyOf(container));
    if (!found) {
      if (known) this.#end(container);
      return;
    }
    const { policyId, subject } = found;
    if (known?.subject === subjectText(subject)) return;
    try {
      const followed = known ?? openContainer(container, subjectText(subject));
      this.#followed.set(keyOf(container), { ...followed, subject: subjectText(subject) });
      this.#trustOwn(policyId, followed, isHeld);
      this.#context.place({ ...followed.place, policyId });
      for (const { subject: other } of others)
        this.#context.remark(
          `container ${titleOf(container)} matches ${subjectText(other)}, too, whose policy is NOT in force on it: one is`,
          'warning',
        );
      const when = late === undefined ? 'before its first packet' : `late: ${late}`;
      this.#context.remark(
        `container ${titleOf(container)}: ${subjectText(subject)} in force, ${when}`,
        late === undefined ? 'info' : 'notice',
      );
    } catch (thrown) {
      this.#followed.delete(keyOf(container));
      if (!isOfHost(thrown)) throw thrown;
      this.#context.remark(`container ${titleOf(container)} is NOT controlled: ${thrown.message}`, 'error');
    }
  }

  #adopt(container: Container, pid: number): void {
    try {
      this.#followed.get(keyOf(container))?.cgroup.adopt(pid);
    } catch (thrown) {
      if (!isOfHost(thrown)) throw thrown;
      this.#context.remark(
        `process ${pid} of container ${titleOf(container)} is NOT controlled: ${thrown.message}`,
        'error',
      );
    }
  }

  #end(container: Container): void {
    const followed = this.#followed.get(keyOf(container));
    if (!followed) return;
    this.#followed.delete(keyOf(container));
    try {
      this.#context.remove({ ...followed.place, policyId: 0 });
      followed.cgroup.close();
    } catch (thrown) {
      if (!isOfHost(thrown)) throw thrown;
      this.#context.remark(`container ${titleOf(container)}: ${thrown.message}`, 'warning');
    }
  }

  /*
   * The file is the runtime's until the container's program runs; later the program may have written it. A resolver
   * on its own loopback is trusted in any case, for what the container itself sends from there is dropped.
   */
  #trustOwn(policyId: number, { container, place }: Followed, isHeld: boolean): void {
    const own = readResolvConf(container.pid).map((resolver) =>
      place.ownsNetns && isLoopback(resolver) ? { ...resolver, port: ANY_PORT } : resolver,
    );
    const known = new Set(this.#context.trusted(policyId).map(formatResolver));
    const isSafe = ({ port }: Resolver) => isHeld || port === ANY_PORT;
    const strange = own.filter((resolver) => !known.has(formatResolver(resolver)));
    if (strange.some(isSafe)) this.#context.trust(policyId, strange.filter(isSafe));
    const refused = strange.filter((resolver) => !isSafe(resolver));
    if (refused.length === 0) return;
    const names = refused.map(formatResolver).join(', ');
    this.#context.remark(
      `container ${titleOf(container)} asks ${names}, which is not trusted, as it could have chosen that itself: give -resolver=${names} to trust it`,
      'warning',
    );
  }

  #tellAbsence(): void {
    const { states } = this.#watch;
    if (states.some(({ state }) => state !== 'absent')) return;
    const sockets = states.map(({ socket }) => socket).join(', ');
    this.#context.remark(
      `no container runtime is there yet, one is waited for: looked at ${sockets}`,
      'notice',
    );
  }

  #tellState(state: RuntimeState): void {
    if (state.state === 'down')
      this.#context.remark(
        `${state.runtime} at ${state.socket}: ${state.reason}; containers that it starts are not seen`,
        'error',
      );
  }
}

/* The first one counts. A name goes before a label, for it is said of one container only. */
function subjectsFor(subjects: readonly NumberedSubject[], container: Container): NumberedSubject[] {
  const matching = subjects.filter(
    ({ subject }) => isContainerSubject(subject) && matchesContainer(subject, container),
  );
  const isNamed = ({ subject }: NumberedSubject) => subject.kind === 'container';
  return [...matching.filter(isNamed), ...matching.filter((each) => !isNamed(each))];
}

function openContainer(container: Container, subject: string): Followed {
  const cgroup = openTaskCgroup(container);
  using netns = netnsOfPid(container.pid);
  const { path, id, level } = placeAt(cgroup.directory, `the cgroup of container "${container.id}"`);
  const netnsCookie = cookieOf(netns.path);
  const ownsNetns = netns.inode !== netnsInode() && netns.inode !== inodeOfInit();
  return {
    container,
    cgroup,
    subject,
    place: { path, id, level, netnsCookie, netnsInode: netns.inode, ownsNetns },
  };
}

function inodeOfInit(): number | undefined {
  try {
    using netns = netnsOfPid(1);
    return netns.inode;
  } catch (thrown) {
    if (!isOfHost(thrown)) throw thrown;
    return undefined; // in another pid or user namespace than the host's: there is no such, or it is closed to us
  }
}

function readResolvConf(pid: number): readonly Resolver[] {
  try {
    return parseResolvConf(readFileSync(`/proc/${pid}/root/etc/resolv.conf`, 'utf8')).nameservers;
  } catch {
    return []; // the image has none, or the container has just ended
  }
}

function titleOf({ names, id }: Container): string {
  return `"${names[0] ?? id.slice(0, 12)}"`;
}

function keyOf({ runtime, namespace, id }: Container): string {
  return `${namespace ?? runtime}/${id}`;
}

/* What a host may lack or a container do: said, and no reason for us to end. */
function isOfHost(thrown: unknown): thrown is Error {
  return [SystemError, UnsupportedError, UsageError].some((kind) => thrown instanceof kind);
}
