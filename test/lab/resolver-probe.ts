/*
 * Runs by itself in a network namespace: ADDRESS PORT NAME [TEXT]. Asks for NAME's TXT record until the server
 * answers, with TEXT if one is given, and exits 0. Whoever started it sets the limit.
 * One process that polls is faster than a dig per try, and needs no package.
 */
import { createSocket } from 'node:dgram';
import { decode, encode } from 'dns-packet';

const POLL_MS = 5;

const [address = '', port = '', name = '', text] = process.argv.slice(2);
const socket = createSocket(address.includes(':') ? 'udp6' : 'udp4');
let id = 0;

function ask(): void {
  id = (id + 1) & 0xffff;
  const query = encode({ type: 'query', id, flags: 0x100, questions: [{ type: 'TXT', name }] });
  // A refused or unreachable port is what is polled for.
  socket.send(query, Number(port), address, () => {});
}

/** Each string of the TXT records in `message`. */
function textsIn(message: Buffer): readonly string[] {
  return (decode(message).answers ?? []).flatMap((answer) =>
    answer.type === 'TXT' ? [`${answer.data}`] : [],
  );
}

const polling = setInterval(ask, POLL_MS);
socket.on('error', () => {});
socket.on('message', (message) => {
  if (text !== undefined && !textsIn(message).includes(text)) return;
  clearInterval(polling);
  socket.close();
});
ask();
