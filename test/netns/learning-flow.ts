import { connect, type Socket } from 'node:net';
import { join } from 'node:path';
import type { Namespace } from '../lab/namespace.ts';
import { until } from '../lab/wait.ts';

const LIMIT_MS = 2_000;
let opened = 0;

/** A flow of socat in a lab namespace to an echo server, that goes on until it is closed. */
export class EchoFlow implements Disposable {
  readonly #socket: Socket;
  #heard = '';

  /** @param socket what is written to it, socat sends */
  constructor(socket: Socket) {
    this.#socket = socket;
    socket.on('error', () => {}); // told by `closed`
    socket.on('data', (bytes) => {
      this.#heard += bytes;
    });
  }

  /** Whether socat gave the flow up. */
  get closed(): boolean {
    return this.#socket.closed || this.#socket.readableEnded;
  }

  /** Sends `text`, and resolves once all of it came back. Rejects when it does not in time. */
  async echo(text: string): Promise<void> {
    this.#heard = '';
    this.#socket.write(text);
    await until(() => this.#heard === text, { limitMs: LIMIT_MS, what: `the echo of "${text}"` });
  }

  /** Sends `text`; resolves with how many ms later socat gave the flow up. */
  async untilClosed(text: string): Promise<number> {
    const from = performance.now();
    this.#socket.write(text);
    await until(() => this.closed, { limitMs: LIMIT_MS, what: 'the end of the flow' });
    return performance.now() - from;
  }

  [Symbol.dispose](): void {
    this.#socket.destroy();
  }
}

/**
 * Opens a flow to `target`, a socat address such as `TCP4:198.51.100.7:7`; resolves once socat has connected.
 * Rejects with what socat wrote when it can't. `place`: a cgroup in the namespace.
 */
export async function openEchoFlow(
  namespace: Namespace,
  target: string,
  place: Pick<Namespace, 'spawn'> = namespace,
): Promise<EchoFlow> {
  opened += 1;
  const path = join(namespace.directory, `flow-${opened}`);
  const socat = place.spawn('socat', ['-d', '-d', `UNIX-LISTEN:${path}`, target]);
  await socat.waitForLine(/listening on/, LIMIT_MS);
  const flow = new EchoFlow(connect({ path }));
  await socat.waitForLine(/starting data transfer/, LIMIT_MS);
  return flow;
}
