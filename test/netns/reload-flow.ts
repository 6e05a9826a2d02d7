/*
 * A flow to an echo server, in a process of its own: `reload-flow.js tcp|udp ADDRESS PORT`. Says `connected`; sends a
 * message at SIGUSR1 and says `echo` when it is back; `ended CODE` when the connection ends, `refused CODE` when a
 * datagram is.
 */
import { createSocket } from 'node:dgram';
import { connect } from 'node:net';

const [kind, host = '', port] = process.argv.slice(2);
const codeOf = (cause: NodeJS.ErrnoException) => cause.code ?? cause.message;

function say(text: string): void {
  process.stdout.write(`${text}\n`);
}

if (kind === 'tcp') {
  const socket = connect({ host, port: Number(port), noDelay: true });
  let why = 'by the other end';
  socket.on('connect', () => say('connected'));
  socket.on('data', () => say('echo'));
  socket.on('error', (cause) => {
    why = codeOf(cause);
  });
  socket.on('close', () => say(`ended ${why}`));
  process.on('SIGUSR1', () => socket.write('hello'));
} else {
  const socket = createSocket('udp4');
  socket.on('message', () => say('echo'));
  socket.on('error', (cause) => say(`refused ${codeOf(cause)}`));
  socket.connect(Number(port), host, () => say('connected'));
  process.on('SIGUSR1', () => socket.send('hello'));
}
setInterval(() => {}, 60_000); // until it is ended
