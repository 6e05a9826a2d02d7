/*
 * Runs by itself in a network namespace, with a list of Forgery as JSON in its first argument: sends each as one
 * UDP datagram with a DNS answer, and ends once all are sent.
 */
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { encode } from 'dns-packet';

/** An answer that nobody who is asked gave. `from` has to be an address of the namespace. */
export interface Forgery {
  readonly from: string;
  readonly fromPort: number;
  readonly to: string;
  readonly toPort: number;
  readonly id: number;
  readonly name: string;
  readonly address: string;
}

const AUTHORITATIVE_ANSWER = 0x8580; // QR, AA, RD, RA

const forgeries: readonly Forgery[] = JSON.parse(process.argv[2] ?? '[]');
for (const { from, fromPort, to, toPort, id, name, address } of forgeries) {
  const socket = createSocket({ type: 'udp4', reuseAddr: true });
  socket.bind(fromPort, from);
  await once(socket, 'listening');
  const answer = encode({
    type: 'response',
    id,
    flags: AUTHORITATIVE_ANSWER,
    questions: [{ type: 'A', name }],
    answers: [{ type: 'A', name, ttl: 60, data: address }],
  });
  await new Promise<void>((resolve, reject) => {
    socket.send(answer, toPort, to, (cause) => (cause ? reject(cause) : resolve()));
  });
  socket.close();
}
