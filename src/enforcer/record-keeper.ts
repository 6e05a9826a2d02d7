import { isOfSystem } from '../errors.ts';
import type { Listener } from './options.ts';
import type { InstanceRecord } from './run-dir.ts';

const AGAIN_MS = 2_000;

/**
 * Writes down what is in force. What can't be written, as on a full disk, is said once and tried again: it is only
 * `status` that lags behind, and a process that ended for that would take more with it.
 */
export class RecordKeeper implements Disposable {
  readonly #write: (changed: Partial<InstanceRecord>) => void;
  readonly #remark: Listener['remark'];
  #changed: Partial<InstanceRecord> = {};
  #again: NodeJS.Timeout | undefined;
  #isClosed = false;

  /** @param write writes the record with these changes; throws as node:fs does */
  constructor(write: (changed: Partial<InstanceRecord>) => void, remark: Listener['remark']) {
    this.#write = write;
    this.#remark = remark;
  }

  /** Writes it now, or as soon as it can be. */
  record(changed: Partial<InstanceRecord> = {}): void {
    if (this.#isClosed) return;
    const isFirst = this.#again === undefined;
    clearTimeout(this.#again);
    this.#again = undefined;
    this.#changed = { ...this.#changed, ...changed };
    try {
      this.#write(this.#changed);
      this.#changed = {};
    } catch (thrown) {
      if (!isOfSystem(thrown)) throw thrown;
      this.#again = setTimeout(() => this.record(), AGAIN_MS).unref();
      if (!isFirst) return;
      const why = `status may lag behind what is in force, which can't be written down: ${thrown.message}`;
      this.#remark(why, 'warning');
    }
  }

  /** Writes no more. Idempotent. */
  close(): void {
    this.#isClosed = true;
    clearTimeout(this.#again);
  }

  [Symbol.dispose](): void {
    this.close();
  }
}
