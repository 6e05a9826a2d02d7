/*
 * Reads events at `PORT TOKEN ADDRESS`, but stops after the first bytes, as a page does whose browser sleeps, and says
 * `stuck`. SIGUSR2 makes it go on to the event of a packet to an address that
 * begins so, and say how many it had, how many were lost, and the number of the last.
 */
import { get } from 'node:http';
import { StreamParser } from '../../src/view/stream-parser.ts';

const [, , port = '', token = '', address = ''] = process.argv;
const parser = new StreamParser();
let [events, lost, seq] = [0, 0, 0];
let isLast = false;
/** A socket that is not read keeps no process. */
const alive = setInterval(() => {}, 1_000);
const request = get(
  { host: '127.0.0.1', port, path: '/events', headers: { Authorization: `Bearer ${token}` } },
  (response) => {
    response.setEncoding('utf8');
    response.once('data', () => {
      response.pause();
      process.stdout.write('stuck\n');
    });
    response.on('data', take);
    process.on('SIGUSR2', () => response.resume());
  },
);

function take(text: string): void {
  for (const { kind, lines } of parser.push(text)) {
    if (kind === 'lost') lost += Number(lines[0]);
    if (kind !== 'events') continue;
    events += lines.length;
    isLast ||= lines.some((line) => line.includes(`"dst":"${address}`));
    seq = JSON.parse(lines.at(-1) ?? '{}').seq;
  }
  if (!isLast) return;
  process.stdout.write(`events ${events} lost ${lost} of ${seq}\n`);
  request.destroy();
  clearInterval(alive);
}
