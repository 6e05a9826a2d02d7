import { encodeQuery } from '../../src/dns/encode-query.ts';
import { type MessageParts, message, name, pointer, record, u16 } from '../dns/raw-message.ts';
import { ethernet, type IpParts, ip, localFor } from './frames.ts';
import type { Harness, Outcome, ProgramName } from './harness.ts';
import { CLIENT_PORT, tcp, udp } from './segments.ts';

export const RESOLVER4 = '192.0.2.53';
export const RESOLVER6 = '2001:db8::53';
export const STUB = '127.0.0.53';
export const DNS_PORT = 53;

export const A = 1;
export const CNAME = 5;
export const AAAA = 28;
export const HTTPS = 65;

/** Who asks whom, and what. Both ways of an exchange take the same parts. */
export interface Exchange {
  readonly resolver?: string;
  readonly resolverPort?: number;
  readonly client?: string;
  readonly clientPort?: number;
  readonly id?: number;
  readonly qname?: string;
  readonly qtype?: number;
  readonly parts?: IpParts;
  readonly tags?: readonly number[];
}

export const QNAME = 'www.example.com';
export const ID = 0x1234;

/** The bytes of the question that a query for `qname` has. */
export function question({ qname = QNAME, qtype = A }: Exchange = {}): number[] {
  return [...name(qname), ...u16(qtype), 0, 1];
}

/** The bytes of a query. */
export function query({ id = ID, qname = QNAME, qtype = A }: Exchange = {}): Uint8Array {
  return encodeQuery(id, qname, qtype);
}

/** The bytes of an answer with these records; to the question of the exchange unless `parts` says otherwise. */
export function answer(parts: MessageParts = {}, exchange: Exchange = {}): Uint8Array {
  return message({ id: exchange.id ?? ID, question: question(exchange), ...parts });
}

/** Where the question's name is. */
export const QUERIED = pointer(12);

/** An A record of the question's name, or of `owner`. */
export function aRecord(address: string, { owner = QUERIED, ttl = 300 } = {}): number[] {
  return record(owner, A, address.split('.').map(Number), { ttl });
}

/** An answer with one A record for each address. */
export function answerA(...addresses: readonly string[]): Uint8Array {
  return answer({ answers: addresses.map((address) => aRecord(address)) });
}

/** A query in a UDP packet. */
export function queryPacket(exchange: Exchange = {}, payload: Uint8Array = query(exchange)): Buffer {
  const { resolver, client, resolverPort, clientPort } = endsOf(exchange);
  return ip(client, resolver, udp({ from: clientPort, to: resolverPort, payload }), exchange.parts);
}

/** An answer in a UDP packet. */
export function answerPacket(payload: Uint8Array, exchange: Exchange = {}): Buffer {
  const { resolver, client, resolverPort, clientPort } = endsOf(exchange);
  return ip(resolver, client, udp({ from: resolverPort, to: clientPort, payload }), exchange.parts);
}

/** Sends a query by UDP. */
export function ask(
  datapath: Harness,
  exchange: Exchange = {},
  program: ProgramName = 'query',
  payload: Uint8Array = query(exchange),
): Outcome {
  return datapath.run(program, ethernet(queryPacket(exchange, payload), exchange));
}

/** Lets an answer come in by UDP. */
export function hear(datapath: Harness, payload: Uint8Array, exchange: Exchange = {}): Outcome {
  return datapath.run('learn', ethernet(answerPacket(payload, exchange), exchange));
}

/** A TCP segment between client and resolver. `frame: true` puts the length in front of the payload. */
export interface Segment {
  readonly flags: string;
  readonly sequence?: number;
  readonly acknowledged?: number;
  readonly payload?: Uint8Array;
  readonly framed?: boolean;
}

/** Sends a segment of the client's. */
export function sendTcp(
  datapath: Harness,
  segment: Segment,
  exchange: Exchange = {},
  program: ProgramName = 'query',
): Outcome {
  const { resolver, client, resolverPort, clientPort } = endsOf(exchange);
  const packet = ip(client, resolver, tcpOf(segment, clientPort, resolverPort), exchange.parts);
  return datapath.run(program, ethernet(packet, exchange));
}

/** Lets a segment of the resolver's come in. */
export function hearTcp(datapath: Harness, segment: Segment, exchange: Exchange = {}): Outcome {
  const { resolver, client, resolverPort, clientPort } = endsOf(exchange);
  const packet = ip(resolver, client, tcpOf(segment, resolverPort, clientPort), exchange.parts);
  return datapath.run('learn', ethernet(packet, exchange));
}

/** The message behind its length, as TCP carries it. */
export function framed(bytes: Uint8Array): Buffer {
  return Buffer.concat([Buffer.from(u16(bytes.length)), bytes]);
}

function tcpOf(
  { payload = new Uint8Array(0), framed: isFramed = true, ...segment }: Segment,
  from: number,
  to: number,
) {
  const bytes = payload.length > 0 && isFramed ? framed(payload) : payload;
  return tcp({ from, to, ...segment, payload: bytes });
}

function endsOf({
  resolver = RESOLVER4,
  resolverPort = DNS_PORT,
  client,
  clientPort = CLIENT_PORT,
}: Exchange) {
  const own = resolver.startsWith('127.') ? '127.0.0.1' : resolver === '::1' ? '::1' : localFor(resolver);
  return { resolver, resolverPort, client: client ?? own, clientPort };
}
