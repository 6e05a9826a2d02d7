import { HOST_POLICY } from '../datapath/compile.ts';
import type { RawEvent } from '../datapath/event.ts';
import { destroyTcpSocket } from '../netlink/sock-diag.ts';

const TCP = 6;
/** Connections ended in a second, at most: a process may forge packets of any number of them. */
const MOST_A_SECOND = 200;

/**
 * Ends local TCP connections of subjects whose packets are refused: begun before their subject was judged, or allowed
 * by what is withdrawn. No reset comes back to them as on interfaces, so their programs would wait for a time-out.
 */
export class RefusedFlows {
  readonly #now: () => number;
  #since = 0;
  #ended = 0;

  /** @param now milliseconds of a clock that is never set */
  constructor(now: () => number = () => performance.now()) {
    this.#now = now;
  }

  /** Ends the connection that an event tells of, where that is such a one. Throws SystemError. */
  take(raw: RawEvent): void {
    if (raw.kind !== 'flow' || raw.verdict !== 'deny' || raw.l4Proto !== TCP) return;
    // connect() itself has failed, or the socket is in a network namespace that is not ours.
    if (raw.policyId === HOST_POLICY || raw.localPort === 0 || raw.ifindex === 0) return;
    if (this.#isBudgetSpent()) return;
    destroyTcpSocket(raw);
  }

  #isBudgetSpent(): boolean {
    const now = this.#now();
    if (now - this.#since > 1_000) {
      this.#since = now;
      this.#ended = 0;
    }
    this.#ended += 1;
    return this.#ended > MOST_A_SECOND;
  }
}
