/** What the client of robust-client.ts does all the time: fresh names, a blocked address, one flow that lasts. */
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
}

/** What came of it. `failures` has the first ones; `failed` counts all. */
export interface TrafficReport {
  /** Fresh names that were looked up and connected to. */
  fresh: number;
  /** Blocked connects that were refused. */
  blocked: number;
  /** Messages that the lasting flow brought back. */
  echoed: number;
  /** SYNs sent again in the namespace: 0 = no first packet was lost. */
  synRetransmits: number;
  readonly failures: string[];
  failed: number;
}
