/** What the client of robust-client.ts does all the time: fresh names, a blocked address, flows that last. */
export interface Traffic {
  readonly resolver: string;
  /** Names are `NONCE-0.SUFFIX`, `NONCE-1.SUFFIX`, … with an AAAA record each. */
  readonly nonce: string;
  readonly suffix: string;
  readonly names: number;
  readonly blocked: string;
  /** What a blocked connect fails with; default ECONNREFUSED. */
  readonly refusal?: string;
  /** Allowed, with a TCP echo on port 7. */
  readonly echo: string;
  /** It begins as after SIGUSR2. */
  readonly isFree?: boolean;
  /** Milliseconds between two attempts of a kind; default 8. */
  readonly paceMs?: number;
}

/**
 * What came of it. `failures` has the first ones; `failed` counts all. From SIGUSR2 on, until SIGUSR1, nothing need be
 * in force: then a blocked address may answer, and a name may have been looked up before its answer could teach. What
 * began or ended in such a time is only counted.
 */
export interface TrafficReport {
  /** Fresh names that were looked up and connected to. */
  fresh: number;
  /** Blocked connects that were refused. */
  blocked: number;
  /** Connects to the address that a prefix allows. */
  allowed: number;
  /** Messages that the lasting flows brought back: that to `echo`, and one to a name while all is in force. */
  echoed: number;
  /** Attempts that nothing can be said of, for something was not in force meanwhile. */
  unjudged: number;
  /** How long the slowest connect took that came about. */
  slowestMs: number;
  /** SYNs lost while not all was in force: clsact comes and goes with the queue of its device, Linux drops what is in it. */
  lostWhileFree: number;
  /** SYNs sent again in the namespace: 0 = no first packet was lost. */
  synRetransmits: number;
  readonly failures: string[];
  failed: number;
}
