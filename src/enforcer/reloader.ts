import { setImmediate as nextTurn } from 'node:timers/promises';
import { messageLines, UsageError } from '../errors.ts';
import type { PolicyAction } from '../flow/event.ts';
import { diffPolicies } from '../policy/diff.ts';
import { subjectText } from '../policy/subject.ts';
import type { Enforcer } from './enforcer.ts';
import { FileWatch } from './file-watch.ts';
import type { Listener } from './options.ts';
import type { LoadedPolicies, PolicyReader } from './policy-source.ts';
import { nowUs } from './request-reload.ts';

/** Lines of what changed that are written; the rest is counted. */
const MAX_LINES = 1_000;

type Told = Exclude<PolicyAction, 'in-force'>;

/** Reads the policy again, when asked to and when a file of it changes, and puts it in force if it is another. */
export class Reloader implements Disposable {
  readonly #enforcer: Enforcer;
  readonly #reader: PolicyReader;
  readonly #remark: Listener['remark'];
  readonly #watch: FileWatch | undefined;
  readonly #closing = new AbortController();
  #loaded: LoadedPolicies;
  #going: Promise<unknown> = Promise.resolve();
  #lastError = '';

  /** @param loaded what the reader answered when the enforcer was started */
  constructor(enforcer: Enforcer, reader: PolicyReader, loaded: LoadedPolicies, remark: Listener['remark']) {
    this.#enforcer = enforcer;
    this.#reader = reader;
    this.#loaded = loaded;
    this.#remark = remark;
    const files = reader.source.files.filter((file) => file !== '-');
    if (files.length > 0) this.#watch = new FileWatch(files, () => void this.#next(false));
  }

  /** Looks at host and files anew. What is wrong with them is said, and changes nothing. Never rejects. */
  reload(): Promise<void> {
    return this.#next(true);
  }

  /** Takes up no more work, and waits until what is put in force just now is. Idempotent. */
  async end(): Promise<void> {
    this.close();
    await this.#going;
  }

  /** Idempotent. */
  close(): void {
    this.#closing.abort();
    this.#watch?.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  #next(isAsked: boolean): Promise<void> {
    const next = this.#going.then(() => this.#reload(isAsked));
    this.#going = next;
    return next;
  }

  async #reload(isAsked: boolean): Promise<void> {
    if (this.#closing.signal.aborted) return;
    const begunUs = nowUs();
    try {
      if (isAsked) this.#enforcer.reload();
      const loaded = await this.#reader.load(() => this.#giveTurn());
      if (loaded.policies.length === 0) throw new UsageError('no policy restricts anything any more');
      this.#refuseOpening(loaded);
      const lines = await diffPolicies(this.#enforcer.policies, loaded.policies, () => this.#giveTurn());
      const remarks = [...loaded.remarks, ...this.#otherInterfaces(loaded)];
      if (lines.length > 0) await this.#enforcer.swap(loaded.policies);
      this.#loaded = loaded;
      this.#lastError = '';
      if (lines.length > 0) this.#tell(begunUs, 'reloaded', [...remarks, ...lines], 'reloaded');
      else if (isAsked) this.#tell(begunUs, 'unchanged', remarks, 'reloaded: the policy is the same');
    } catch (thrown) {
      if (this.#closing.signal.aborted) return;
      const lines = messageLines(thrown);
      const text = lines.join('\n');
      // A file that is looked at again and again is complained of once.
      if (!isAsked && text === this.#lastError) return;
      this.#lastError = text;
      this.#tell(begunUs, 'reload-failed', lines, 'NOT reloaded, what was in force stays');
    }
  }

  /* Events are read and signals taken while a long file is. */
  async #giveTurn(): Promise<void> {
    await nextTurn();
    this.#closing.signal.throwIfAborted();
  }

  /* Nobody is opened by a file that came to say less: that is for a start. */
  #refuseOpening({ unrestricted }: LoadedPolicies): void {
    const restricted = new Set(this.#enforcer.policies.map(({ subject }) => subjectText(subject)));
    const opened = unrestricted.map(subjectText).filter((text) => restricted.has(text));
    if (opened.length === 0) return;
    throw new UsageError(
      `no policy restricts the egress of ${opened.join(', ')} any more: restart the enforcer if that is meant`,
    );
  }

  #otherInterfaces({ efaces, ifaces }: LoadedPolicies): string[] {
    const isSame =
      [...efaces, '', ...ifaces].join() === [...this.#loaded.efaces, '', ...this.#loaded.ifaces].join();
    return isSame ? [] : ['the interfaces that files name are others now: they change with the next start'];
  }

  #tell(begunUs: number, action: Told, lines: readonly string[], headline: string): void {
    const more = lines.length - MAX_LINES;
    const shown = more > 0 ? [...lines.slice(0, MAX_LINES), `… and ${more} lines more`] : lines;
    const ok = action !== 'reload-failed';
    this.#remark([headline, ...shown.map((line) => `  ${line}`)], ok ? 'notice' : 'warning');
    this.#enforcer.tellPolicy(action, headline, shown);
    const { run } = this.#enforcer.inForce.context;
    try {
      run.writeReload({ begunUs, pid: process.pid, ok, lines: [headline, ...shown] });
    } catch (thrown) {
      const why = thrown instanceof Error ? thrown.message : thrown;
      this.#remark(`Cannot answer "l7egg-cli reload": ${why}`, 'error');
    }
  }
}
