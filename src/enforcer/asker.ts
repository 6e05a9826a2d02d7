import { type Answer, decodeAnswer, type Question } from '../dns/decode-answer.ts';
import { encodeQuery } from '../dns/encode-query.ts';
import type { Resolver } from '../dns/resolver.ts';
import { SystemError } from '../errors.ts';
import { formatAddress } from '../flow/address.ts';
import { Protocol } from '../flow/protocol.ts';
import { connectUdp, type UdpEvent, type UdpSocket } from '../libbpf/udp-socket.ts';
import { randomBits } from './random.ts';

const UDP_LIMIT_MS = 2_000;
/** A datagram may be lost: the same question is sent again after that long, and after as long again. */
const UDP_AGAIN_MS = 600;
const TCP_LIMIT_MS = 4_000;
const EDNS_BYTES = 1_232; // never fragmented on the way, DNS flag day 2020
const MAX_ANSWER = 65_535;
/** How long after a question events about it may come. */
const KNOWN_MS = 10_000;

/** What an event tells of a question. `qname` in text form; absent where it could not be read. */
export interface SeenQuestion {
  readonly l4Proto: number;
  readonly localPort: number;
  readonly qname?: string;
  readonly qtype: number;
}

interface Asked {
  readonly l4Proto: number;
  readonly localPort: number;
  readonly name: string;
  readonly qtype: number;
  readonly sinceMs: number;
}

/**
 * Asks a trusted resolver by a socket of its own, over UDP and, where the answer does not fit, TCP.
 * What it asked is known for a while, so that events about its own answers can be told apart.
 */
export class Asker implements Disposable {
  readonly #asked: Asked[] = [];
  readonly #open = new Set<{ close(): void }>();
  #closed = false;

  /**
   * Whether a question is, or within ten seconds was, one of ours. Ports are soon given to other sockets, so where the
   * event names the question, that has to be ours too.
   */
  isOwn({ l4Proto, localPort, qname, qtype }: SeenQuestion): boolean {
    return this.#asked.some(
      (asked) =>
        asked.localPort === localPort &&
        asked.l4Proto === l4Proto &&
        (qname === undefined || (asked.name === qname && asked.qtype === qtype)),
    );
  }

  /**
   * The answer to one question, or undefined when none came or it taught nothing.
   * @param name in the text form of `decodeName` @param qtype record type number
   */
  async ask(resolver: Resolver, name: string, qtype: number): Promise<Answer | undefined> {
    if (this.#closed) return undefined;
    const id = Number(randomBits() & 0xffffn);
    const query = encodeQuery(id, name, qtype, { edns: EDNS_BYTES });
    const question = { id, name, qtype };
    const message = await this.#askUdp(resolver, query, question);
    const answer = message && decodeAnswer(message, question);
    if (answer?.status === 'refused' && answer.reason === 'truncated') {
      const whole = await this.#askTcp(resolver, query, question);
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

  #askUdp(resolver: Resolver, query: Uint8Array, question: Question): Promise<Uint8Array | undefined> {
    return new Promise((resolve) => {
      const owned = { close: () => end(undefined) };
      const end = (message: Uint8Array | undefined) => {
        if (!this.#open.delete(owned)) return;
        clearTimeout(timer);
        clearInterval(again);
        socket?.close();
        resolve(message);
      };
      const socket = connectOrNot(resolver, (event) => {
        // Unreachable or refused is as good as no answer. Whoever guesses the port does not end the question.
        if (event.kind === 'failed') end(undefined);
        else if (event.bytes.length >= 2 && event.bytes.readUInt16BE() === question.id) end(event.bytes);
      });
      if (!socket) {
        resolve(undefined);
        return;
      }
      this.#open.add(owned);
      const timer = setTimeout(() => end(undefined), UDP_LIMIT_MS);
      const again = setInterval(() => socket.send(query), UDP_AGAIN_MS);
      this.#remember(Protocol.udp, socket.local.port, question);
      socket.send(query);
    });
  }

  /* Its module is loaded with the first question that needs it: most enforcers never ask one. */
  async #askTcp(resolver: Resolver, query: Uint8Array, question: Question): Promise<Uint8Array | undefined> {
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
        this.#remember(Protocol.tcp, socket.localPort ?? 0, question);
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

  #remember(l4Proto: number, localPort: number, { name, qtype }: Question): void {
    const sinceMs = performance.now();
    const old = this.#asked.findIndex((asked) => sinceMs - asked.sinceMs <= KNOWN_MS);
    this.#asked.splice(0, old < 0 ? this.#asked.length : old);
    this.#asked.push({ l4Proto, localPort, name, qtype, sinceMs });
  }
}

/* No route, or an interface that is gone: as good as no answer. */
function connectOrNot(resolver: Resolver, onEvent: (event: UdpEvent) => void): UdpSocket | undefined {
  try {
    return connectUdp(resolver, onEvent);
  } catch (thrown) {
    if (thrown instanceof SystemError) return undefined;
    throw thrown;
  }
}

function addressOf(resolver: Resolver): string {
  const text = formatAddress(resolver.addr16);
  return resolver.scope ? `${text}%${resolver.scope}` : text;
}
