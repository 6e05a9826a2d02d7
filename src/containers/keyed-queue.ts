/** How many tasks may wait before who gives more has to wait. */
const MAX_WAITING = 1_000;

/** Runs tasks one after the other for each key, those of different keys side by side. */
export class KeyedQueue {
  readonly #last = new Map<string, Promise<void>>();
  readonly #onFailure: (failure: unknown) => void;
  #waiting = 0;
  #room: { readonly promise: Promise<void>; readonly resolve: () => void } | undefined;

  /** @param onFailure told what a task threw; the next ones run all the same */
  constructor(onFailure: (failure: unknown) => void) {
    this.#onFailure = onFailure;
  }

  /** Puts `task` behind the others of its key; resolves when it is done, whether it failed or not. */
  run(key: string, task: () => Promise<void>): Promise<void> {
    this.#waiting += 1;
    const before = this.#last.get(key);
    const mine = (before ? before.then(task) : task()).catch(this.#onFailure).finally(() => {
      this.#waiting -= 1;
      if (this.#last.get(key) === mine) this.#last.delete(key);
      if (this.#waiting < MAX_WAITING) this.#room?.resolve();
    });
    this.#last.set(key, mine);
    return mine;
  }

  /** Resolves, at once or later, when not too many wait. */
  async room(): Promise<void> {
    if (this.#waiting < MAX_WAITING) return;
    if (!this.#room) {
      let resolve = () => {};
      const promise = new Promise<void>((done) => {
        resolve = () => {
          this.#room = undefined;
          done();
        };
      });
      this.#room = { promise, resolve };
    }
    await this.#room.promise;
  }
}
