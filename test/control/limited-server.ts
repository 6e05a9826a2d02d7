/* A process with a control socket, to be run with few descriptors; lines of stdin say what to do, each has an answer. */
import { closeSync, openSync, readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { ControlServer, type Handler } from '../../src/control/server.ts';

const [path = ''] = process.argv.slice(2);
const taken: number[] = [];
const handlers = new Map<string, Handler>([
  ['who', (_request, answer) => answer.end()],
  ['hold', (_request, answer) => void answer.send('{"held":true}\n')],
]);
const server = new ControlServer(path, handlers);

const ACTS: { readonly [line: string]: () => string } = {
  fill: () => {
    for (;;) {
      try {
        taken.push(openSync('/dev/null', 'r'));
      } catch {
        return 'full';
      }
    }
  },
  free: () => {
    for (const fd of taken.splice(0)) closeSync(fd);
    return 'freed';
  },
  cpu: () => {
    const { user, system } = process.cpuUsage();
    return `${(user + system) / 1_000}`;
  },
  read: () => `${readFileSync('/proc/self/comm', 'utf8').length > 0}`,
};

const lines = createInterface({ input: process.stdin });
lines.on('line', (line) => process.stdout.write(`${ACTS[line]?.() ?? 'unknown'}\n`));
lines.on('close', () => server.close());
process.stdout.write('ready\n');
