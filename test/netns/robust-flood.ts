/*
 * Sends UDP datagrams to `ADDRESS FIRST COUNT`: one to each of COUNT destinations, numbered from FIRST, which are the
 * ports from 1024 on of ADDRESS and of the addresses after it. In parts, so that who reads events can keep up.
 */
import { createSocket } from 'node:dgram';
import { setTimeout as pause } from 'node:timers/promises';

const PORTS = 60_000;
const PART = 50;
const [, , base = '', first = '', count = ''] = process.argv;
const at = base.lastIndexOf('.') + 1;
const socket = createSocket('udp4');
let failed = 0;

for (let index = Number(first); index < Number(first) + Number(count); index++) {
  const address = `${base.slice(0, at)}${Number(base.slice(at)) + Math.floor(index / PORTS)}`;
  await new Promise<void>((resolve) => {
    socket.send('flood', 1024 + (index % PORTS), address, (cause) => {
      if (cause) failed += 1;
      resolve();
    });
  });
  if (index % PART === 0) await pause(1);
}
socket.close();
process.stdout.write(`failed ${failed}\n`);
