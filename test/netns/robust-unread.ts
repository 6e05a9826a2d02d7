import { closeSync, constants, openSync, readSync } from 'node:fs';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { checkEvent } from '../flow/event-schema.ts';
import { findCli } from '../lab/checkout.ts';
import type { Namespace } from '../lab/namespace.ts';
import type { Process } from '../lab/process.ts';
import type { LoggedEvent } from './enforcer.ts';
import { BLOCKED, FLAGS, l7egg, newInstance, startScript } from './robust-lab.ts';

const LIMIT_MS = 15_000;
const CHUNK = Buffer.alloc(1 << 16);

/** An enforcer whose stdout is a FIFO that nobody reads but `read`: the whole lines that are there now. */
export interface Unread {
  readonly process: Process;
  readonly instance: string;
  readonly read: () => readonly LoggedEvent[];
}

/** Starts one that ends with the test. */
export async function startUnread(
  context: TestContext,
  host: Namespace,
  flags: readonly string[] = FLAGS,
): Promise<Unread> {
  const instance = newInstance();
  const fifo = join(host.directory, instance);
  host.must('mkfifo', [fifo]);
  // For writing too: else the end of the last writer would be the end of the file.
  const fd = openSync(fifo, constants.O_RDWR | constants.O_NONBLOCK);
  const words = [findCli(), ...flags, '-log=json', `-instance=${instance}`];
  const process = host.spawn('sh', ['-c', 'fifo=$1; shift; exec "$@" >"$fifo"', 'sh', fifo, ...words]);
  context.after(async () => {
    await l7egg(host, 'clean', `-instance=${instance}`);
    process.kill('SIGKILL');
    await process.exited;
    closeSync(fd);
  });
  await process.waitForLine(/^enforcing/, LIMIT_MS);
  let rest = '';
  const read = () => {
    for (let bytes = readNow(fd); bytes > 0; bytes = readNow(fd)) rest += CHUNK.toString('utf8', 0, bytes);
    const lines = rest.split('\n');
    rest = lines.pop() ?? '';
    return lines.map((line): LoggedEvent => {
      const event = JSON.parse(line);
      checkEvent(event);
      return event;
    });
  };
  return { process, instance, read };
}

/** Causes an event for each of `count` destinations from the `first` on, none of which is allowed. */
export async function causeEvents(host: Namespace, first: number, count: number): Promise<void> {
  const flood = startScript(host, 'robust-flood', BLOCKED, `${first}`, `${count}`);
  await flood.waitForLine(/^failed 0$/, LIMIT_MS);
}

function readNow(fd: number): number {
  try {
    return readSync(fd, CHUNK);
  } catch (thrown) {
    if (thrown instanceof Error && 'code' in thrown && thrown.code === 'EAGAIN') return 0;
    throw thrown;
  }
}
