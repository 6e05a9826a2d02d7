import { type Answer, decodeAnswer } from '../dns/decode-answer.ts';
import { encodeQuery } from '../dns/encode-query.ts';
import type { Resolver } from '../dns/resolver.ts';
import { formatAddress } from '../flow/address.ts';

const UDP_LIMIT_MS = 2_000;
const TCP_LIMIT_MS = 4_000;
const EDNS_BYTES = 1_232; // never fragmented on the way, DNS flag day 2020
const MAX_ANSWER = 65_535;

/**
 * Asks a trusted resolver by a socket of its own, over UDP and, where the answer does not fit, TCP.
 * The client ports it uses are known, so that events about its own answers can be told apart.
 */
export class Asker implements Disposable {
  readonly #ports = new Map<number, number>();
  readonly #open = new Set<{ close(): void }>();
  #closed = false;

  /** Whether a client port is, or within ten seconds was, one of ours. */
  isOwnPort(port: number): boolean {
    return this.#ports.has(port);
  }

  /**
   * The answer to one question, or undefined when none came or it taught nothing.
   * @param qtype record type number
   */
  async ask(resolver: Resolver, name: string, qtype: number): Promise<Answer | undefined> {
    if (this.#closed) return undefined;
    const id = Math.floor(Math.random() * 65_536);
    const query = encodeQuery(id, name, qtype, { edns: EDNS_BYTES });
    const question = { id, name, qtype };
    const message = await this.#askUdp(resolver, query);
    const answer = message && decodeAnswer(message, question);
    if (answer?.status === 'refused' && answer.reason === 'truncated') {
      const whole = await this.#askTcp(resolver, query);
      return whole && decodeAnswer(whole, question);
    }
    return answer;
  }

  /** Idempotent: questions under way end without an answer. */
  close(): void {
    this.#closed = true;
    for (const open of this.#open) open.close();
    this.#open.clear();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  /* The socket modules are loaded with the first question: most enforcers never ask one. */
  async #askUdp(resolver: Resolver, query: Uint8Array): Promise<Uint8Array | undefined> {
    const { createSocket } = await import('node:dgram');
    return new Promise((resolve) => {
      const address = addressOf(resolver);
      const socket = createSocket(address.includes(':') ? 'udp6' : 'udp4');
      const owned = { close: () => end(undefined) };
      const timer = setTimeout(() => end(undefined), UDP_LIMIT_MS);
      let ended = false;
      const end = (message: Uint8Array | undefined) => {
        if (ended) return;
        ended = true;
        clearTimeout(timer);
        this.#open.delete(owned);
        socket.close();
        resolve(message);
      };
      this.#open.add(owned);
      socket.on('error', () => end(undefined)); // unreachable or refused: as good as no answer
      socket.on('message', (message) => end(message));
      socket.on('connect', () => {
        this.#remember(socket.address().port);
        socket.send(query);
      });
      socket.connect(resolver.port, address); // connected: only the resolver's own answers come in
    });
  }

  async #askTcp(resolver: Resolver, query: Uint8Array): Promise<Uint8Array | undefined> {
    const { connect } = await import('node:net');
    return new Promise((resolve) => {
      const socket = connect({ host: addressOf(resolver), port: resolver.port });
      const owned = { close: () => end(undefined) };
      let taken = Buffer.alloc(0);
      let ended = false;
      const end = (message: Uint8Array | undefined) => {
        if (ended) return;
        ended = true;
        this.#open.delete(owned);
        socket.destroy();
        resolve(message);
      };
      this.#open.add(owned);
      socket.setTimeout(TCP_LIMIT_MS, () => end(undefined));
      socket.on('error', () => end(undefined));
      socket.on('close', () => end(undefined));
      socket.on('connect', () => {
        this.#remember(socket.localPort ?? 0);
        const framed = Buffer.alloc(2 + query.length);
        framed.writeUInt16BE(query.length);
        framed.set(query, 2);
        socket.write(framed);
      });
      socket.on('data', (part) => {
        taken = Buffer.concat([taken, part]);
        const length = taken.length >= 2 ? taken.readUInt16BE() : MAX_ANSWER;
        if (taken.length >= 2 + length) end(taken.subarray(2, 2 + length));
      });
    });
  }

  #remember(port: number): void {
    const now = Date.now();
    for (const [old, since] of this.#ports) if (now - since > 10_000) this.#ports.delete(old);
    this.#ports.set(port, now);
  }
}

function addressOf(resolver: Resolver): string {
  const text = formatAddress(resolver.addr16);
  return resolver.scope ? `${text}%${resolver.scope}` : text;
}
