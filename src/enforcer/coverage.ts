import { setEnforced } from '../datapath/host-facts.ts';
import { isOfSystem } from '../errors.ts';
import { type LinkEvent, listLinks } from '../netlink/links.ts';
import { attachNow, dropHooks, type HookContext } from './hooks.ts';
import { findInterface, isWayOut, type Present, type Served } from './interfaces.ts';
import type { Listener } from './options.ts';

/** What is covered when the enforcer begins to run, and what it needs to cover more. */
export interface CoverageStart {
  readonly context: HookContext;
  readonly listener: Listener;
  readonly plan: readonly Served[];
  readonly present: readonly Present[];
  /** `-eface='*'`: ways out that appear later are controlled too. */
  readonly isEveryWay: boolean;
}

/** What coverage tells of. */
export interface CoverageListener {
  /** Other interfaces are attached than before. */
  changed(): void;
  /** An interface was attached, or is attached no more. */
  told(action: 'attached' | 'detached', name: string, message: string): void;
}

/** For what fails without a change of the links that could be waited for, such as a want of descriptors. */
const AGAIN_MS = 1_000;

/** Which interfaces are served, as they come, go and change their names. */
export class Coverage implements Disposable {
  readonly #start: CoverageStart;
  readonly #listener: CoverageListener;
  readonly #attached = new Map<string, Present>();
  readonly #names = new Map<number, string>();
  #plan: Served[];
  #again: NodeJS.Timeout | undefined;
  #isClosed = false;
  /** What was complained of, and did not go well since. */
  #complaint = '';

  constructor(start: CoverageStart, listener: CoverageListener) {
    this.#start = start;
    this.#listener = listener;
    this.#plan = [...start.plan];
    for (const each of start.present) this.#note(each);
  }

  get plan(): readonly Served[] {
    return this.#plan;
  }

  get attached(): readonly Present[] {
    return [...this.#attached.values()];
  }

  /** The name of an interface that is or was served. */
  nameOf(ifindex: number): string | undefined {
    return this.#names.get(ifindex);
  }

  onLink(event: LinkEvent): void {
    if (event.kind === 'new' && this.#start.isEveryWay && isWayOut(event.link)) {
      const { name } = event.link;
      if (!this.#plan.some((served) => served.name === name)) {
        this.#plan.push({ name, learns: false, enforces: true });
      }
    }
    if (event.kind === 'overrun') {
      this.#start.listener.remark('link events were lost: interfaces are looked at again', 'warning');
    }
    this.match();
  }

  /**
   * Attaches to served interfaces that are there now and were not, or under another number. What fails is said once,
   * and tried again.
   */
  match(): void {
    if (this.#isClosed) return;
    clearTimeout(this.#again);
    this.#again = undefined;
    try {
      this.#match();
    } catch (thrown) {
      if (!isOfSystem(thrown)) throw thrown;
      this.#fail(`interfaces are NOT followed: ${thrown.message}`);
    }
    if (this.#again === undefined) this.#complaint = '';
  }

  /** Attaches to nothing any more. Idempotent. */
  close(): void {
    this.#isClosed = true;
    clearTimeout(this.#again);
  }

  [Symbol.dispose](): void {
    this.close();
  }

  /** Serves `lo` for learning from now on, unless it does. */
  learnOnLoopback(): void {
    if (this.#plan.some(({ name, learns }) => name === 'lo' && learns)) return;
    this.#plan.push({ name: 'lo', learns: true, enforces: false });
    this.match();
  }

  #match(): void {
    let isChanged = false;
    for (const served of [...this.#plan]) {
      const before = this.#attached.get(served.name);
      const now = findInterface(served);
      if (before?.ifindex === now?.ifindex) continue;
      isChanged = true;
      if (before) this.#miss(served, before);
      if (now) this.#attach(now);
    }
    if (isChanged) this.#changed();
  }

  #fail(complaint: string): void {
    this.#again ??= setTimeout(() => this.match(), AGAIN_MS).unref();
    if (complaint === this.#complaint) return;
    this.#complaint = complaint;
    this.#start.listener.remark(complaint, 'error');
  }

  /* What can't be attached is said, and tried again. */
  #attach(each: Present): void {
    const { context } = this.#start;
    try {
      setEnforced(context.state, enforcedBy([...this.attached, each]));
      attachNow(context, each);
      this.#note(each);
      this.#tell('attached', each.name, `interface "${each.name}" is there: attached`);
    } catch (thrown) {
      // It may be gone again already.
      if (!isOfSystem(thrown)) throw thrown;
      this.#fail(`interface "${each.name}" is NOT covered: ${thrown.message}`);
    }
  }

  #note(each: Present): void {
    this.#attached.set(each.name, each);
    this.#names.set(each.ifindex, each.name);
  }

  /* One that was renamed stays under control by its new name. */
  #miss(served: Served, before: Present): void {
    const { listener, context, plan } = this.#start;
    const renamed = listLinks().find(({ ifindex }) => ifindex === before.ifindex);
    this.#attached.delete(served.name);
    // A name that it had only for a while is not waited for.
    if (!plan.includes(served)) this.#plan = this.#plan.filter((each) => each !== served);
    if (renamed) {
      if (!this.#plan.some(({ name }) => name === renamed.name)) {
        this.#plan.push({ ...served, name: renamed.name });
      }
      this.#note({ ...before, name: renamed.name });
      listener.remark(`interface "${served.name}" is "${renamed.name}" now: served as before`, 'notice');
      return;
    }
    dropHooks(context, before.ifindex);
    const message = `interface "${served.name}" is gone: it will be served again when it returns`;
    this.#tell('detached', served.name, message);
  }

  #tell(action: 'attached' | 'detached', name: string, message: string): void {
    this.#start.listener.told(message, action === 'attached' ? 'notice' : 'warning');
    this.#listener.told(action, name, message);
  }

  #changed(): void {
    setEnforced(this.#start.context.state, enforcedBy(this.attached));
    this.#listener.changed();
  }
}

function enforcedBy(interfaces: readonly Present[]): number[] {
  return interfaces.filter(({ enforces }) => enforces).map(({ ifindex }) => ifindex);
}
