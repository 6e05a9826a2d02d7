import { DNS_PORT } from './dns-exchange.ts';
import { FrameRunner, LONGEST_FRAME } from './frame-runner.ts';
import { ethernet, ip, localFor } from './frames.ts';
import type { Harness } from './harness.ts';
import { tcp, udp } from './segments.ts';

/** Between whom a message goes, and of TCP where in the resolver's stream. */
export interface Ends {
  readonly resolver: string;
  readonly clientPort: number;
  readonly l4Proto: 6 | 17;
  readonly sequence: number;
}

const [TCP, UDP] = [6, 17] as const;
const ETHERNET = 14;
const NOTHING = new Uint8Array(0);
const FRAMING = 2;

/**
 * Carries DNS messages through the programs `query` and `learn`, by the million: headers are made once for each pair of
 * ends, ports and lengths written into them. Checksums are not kept up; the programs look at none.
 */
export class DnsCarrier {
  readonly #out: FrameRunner;
  readonly #in: FrameRunner;
  readonly #headers = new Map<string, Buffer>();

  constructor({ state }: Harness) {
    this.#out = new FrameRunner(state, 'query');
    this.#in = new FrameRunner(state, 'learn');
  }

  /** Whether a message of so many bytes fits into a test frame. */
  static takes(bytes: number): boolean {
    return ETHERNET + 40 + 20 + FRAMING + bytes <= LONGEST_FRAME;
  }

  /** A connection, so that what an earlier one of the same ends left is forgotten. */
  connect(ends: Ends): void {
    this.#send(this.#out, 'S', true, ends, NOTHING);
  }

  ask(ends: Ends, query: Uint8Array): void {
    this.#send(this.#out, 'PA', true, ends, query);
  }

  hear(ends: Ends, answer: Uint8Array): void {
    this.#send(this.#in, 'PA', false, ends, answer);
  }

  #send(runner: FrameRunner, flags: string, isOut: boolean, ends: Ends, message: Uint8Array): void {
    const { frame } = runner;
    const header = this.#header(ends, flags, isOut);
    const isIpv4 = header.readUInt8(ETHERNET) >> 4 === 4;
    const l4 = ETHERNET + (isIpv4 ? 20 : 40);
    const framing = ends.l4Proto === TCP && message.length > 0 ? FRAMING : 0;
    const length = header.length + framing + message.length;
    frame.set(header);
    if (isIpv4) frame.writeUInt16BE(length - ETHERNET, ETHERNET + 2);
    else frame.writeUInt16BE(length - l4, ETHERNET + 4);
    frame.writeUInt16BE(ends.clientPort, isOut ? l4 : l4 + 2);
    if (ends.l4Proto === UDP) frame.writeUInt16BE(length - l4, l4 + 4);
    // Of the client's packets it is what they acknowledge.
    else frame.writeUInt32BE(ends.sequence, isOut ? l4 + 8 : l4 + 4);
    if (framing) frame.writeUInt16BE(message.length, header.length);
    frame.set(message, header.length + framing);
    runner.run(length);
  }

  #header({ resolver, l4Proto }: Ends, flags: string, isOut: boolean): Buffer {
    const key = `${resolver} ${l4Proto} ${flags} ${isOut}`;
    let header = this.#headers.get(key);
    if (!header) {
      const [from, to] = isOut ? [1, DNS_PORT] : [DNS_PORT, 1];
      const parts = { from, to, payload: NOTHING };
      const segment = l4Proto === TCP ? tcp({ ...parts, flags }) : udp(parts);
      const client = localFor(resolver);
      header = ethernet(isOut ? ip(client, resolver, segment) : ip(resolver, client, segment));
      this.#headers.set(key, header);
    }
    return header;
  }
}
