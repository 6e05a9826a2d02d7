/**
 * Owns a group of things that must be closed, newest first.
 * Node 20 has `Symbol.dispose` but no `DisposableStack`.
 */
export class Scope implements Disposable {
  #closers: (() => void)[] = [];

  /** Takes ownership of `owned` and returns it. */
  use<T extends Disposable>(owned: T): T {
    this.defer(() => owned[Symbol.dispose]());
    return owned;
  }

  /** Runs `close` when the scope is closed. */
  defer(close: () => void): void {
    this.#closers.push(close);
  }

  /** Gives ownership to the caller: the returned scope closes what this one held. */
  move(): Scope {
    const moved = new Scope();
    moved.#closers = this.#closers;
    this.#closers = [];
    return moved;
  }

  /** Closes all, newest first, even when one throws; throws what the first failing closer threw. */
  close(): void {
    const closers = this.#closers.reverse();
    this.#closers = [];
    const failures: unknown[] = [];
    for (const close of closers) {
      try {
        close();
      } catch (failure) {
        failures.push(failure);
      }
    }
    if (failures.length > 0) throw failures[0];
  }

  [Symbol.dispose](): void {
    this.close();
  }
}
