import { UsageError } from '../errors.ts';
import { diffPolicies } from '../policy/diff.ts';
import type { Enforcer } from './enforcer.ts';
import { FileWatch } from './file-watch.ts';
import type { PolicyReader } from './policy-source.ts';

/** Reads the policy again, when asked to and when a file of it changes, and puts it in force if it is another. */
export class Reloader implements Disposable {
  readonly #enforcer: Enforcer;
  readonly #reader: PolicyReader;
  readonly #remark: (text: string) => void;
  readonly #watch: FileWatch | undefined;
  #going: Promise<unknown> = Promise.resolve();
  #count = 0;
  #lastError = '';

  constructor(enforcer: Enforcer, reader: PolicyReader, remark: (text: string) => void) {
    this.#enforcer = enforcer;
    this.#reader = reader;
    this.#remark = remark;
    const files = reader.source.files.filter((file) => file !== '-');
    if (files.length > 0) this.#watch = new FileWatch(files, () => this.#onChange());
  }

  /** Looks at host and files anew. What is wrong with them is said, and changes nothing. Never throws. */
  reload(): Promise<void> {
    this.#enforcer.reload();
    return this.#next(true);
  }

  /** Idempotent. */
  close(): void {
    this.#watch?.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  #onChange(): void {
    void this.#next(false);
  }

  #next(isAsked: boolean): Promise<void> {
    const next = this.#going.then(() => this.#reload(isAsked));
    this.#going = next;
    return next;
  }

  async #reload(isAsked: boolean): Promise<void> {
    try {
      const { policies, remarks } = await this.#reader.load();
      if (policies.length === 0) throw new UsageError('no policy restricts anything any more');
      const lines = diffPolicies(this.#enforcer.policies, policies);
      this.#lastError = '';
      if (lines.length > 0) {
        await this.#enforcer.swap(policies);
        this.#tell(true, [...remarks, ...lines], 'reloaded');
      } else if (isAsked) {
        this.#tell(true, remarks, 'reloaded: the policy is the same');
      }
    } catch (thrown) {
      const text = thrown instanceof Error ? thrown.message : String(thrown);
      // A file that is looked at again and again is complained of once.
      if (!isAsked && text === this.#lastError) return;
      this.#lastError = text;
      this.#tell(false, text.split('\n'), 'NOT reloaded, what was in force stays');
    }
  }

  #tell(ok: boolean, lines: readonly string[], headline: string): void {
    this.#remark([headline, ...lines.map((line) => `  ${line}`)].join('\n'));
    const { run } = this.#enforcer.inForce.context;
    run.writeReload({ count: ++this.#count, pid: process.pid, ok, lines: [headline, ...lines] });
  }
}
