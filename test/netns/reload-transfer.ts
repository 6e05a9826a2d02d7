/*
 * Sends to an echo server as fast as that answers, until SIGTERM: `reload-transfer.js ADDRESS PORT`. Then prints how
 * many bytes came back and how many segments of this network namespace were sent again.
 */
import { readFileSync } from 'node:fs';
import { connect } from 'node:net';

const [host = '', port] = process.argv.slice(2);
const MESSAGE = Buffer.alloc(16_384, 'x');

function readRetransmits(): number {
  const [names = '', values = ''] = readFileSync('/proc/net/snmp', 'latin1')
    .split('\n')
    .filter((line) => line.startsWith('Tcp:'));
  return Number(values.split(' ')[names.split(' ').indexOf('RetransSegs')]);
}

let bytes = 0;
let error: string | null = null;
const before = readRetransmits();
const socket = connect({ host, port: Number(port) });
socket.on('connect', () => {
  process.stdout.write('going\n');
  socket.write(MESSAGE);
});
socket.on('data', (chunk) => {
  bytes += chunk.length;
  if (bytes % MESSAGE.length === 0) socket.write(MESSAGE);
});
socket.on('error', (cause) => {
  error = cause.message;
});
socket.on('end', () => {
  error ??= 'ended by the other end';
});
process.once('SIGTERM', () => {
  process.stdout.write(`${JSON.stringify({ bytes, retransmits: readRetransmits() - before, error })}\n`);
  socket.destroy();
});
