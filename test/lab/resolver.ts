import { fileURLToPath } from 'node:url';
import type { Namespace } from './namespace.ts';
import type { Exit, Process } from './process.ts';
import { type DnsRecord, READY_NAME } from './records.ts';
import type { Listen } from './resolver-config.ts';

/** How a server is made to read its records again. */
export type Reload = 'SIGHUP' | 'restart';

const PROBE = fileURLToPath(new URL('./resolver-probe.js', import.meta.url));
const START_LIMIT_MS = 10_000;

/** A real DNS server, in the foreground, that answered before it was handed out. */
export class Resolver implements Disposable {
  readonly address: string;
  readonly port: number;
  readonly #namespace: Namespace;
  readonly #start: () => Process;
  #process: Process;

  constructor(namespace: Namespace, listen: Listen, start: () => Process) {
    const [address] = listen.addresses;
    if (address === undefined) throw new Error('Cannot start a resolver without an address');
    this.address = address;
    this.port = listen.port;
    this.#namespace = namespace;
    this.#start = start;
    this.#process = start();
  }

  /** The running server. */
  get process(): Process {
    return this.#process;
  }

  /** The line that makes this the resolver in `Namespace.useResolvConf`. */
  get resolvConf(): string {
    return `nameserver ${this.address}\n`;
  }

  /** Ends the server and starts it anew, with an empty cache; resolves when it is ready. */
  async restart(generation?: number): Promise<void> {
    await this.#process.stop();
    this.#process = this.#start();
    await this.ready(generation);
  }

  /** Resolves once the server answers, with this generation of its records if one is given. */
  async ready(generation?: number): Promise<void> {
    const words = [
      this.address,
      `${this.port}`,
      READY_NAME,
      ...(generation === undefined ? [] : [`${generation}`]),
    ];
    const probing = this.#namespace.runAsync(process.execPath, [PROBE, ...words], {
      timeoutMs: START_LIMIT_MS,
    });
    const done = await Promise.race([probing, this.#process.exited.then(() => undefined)]);
    if (done?.code === 0) return;
    probing.catch(() => {}); // closing the namespace ends a probe that still runs
    const why = done === undefined ? 'it ended' : `no answer from ${this.address} after ${START_LIMIT_MS} ms`;
    throw new Error(`Cannot start a resolver: ${why}\n${this.#process.tail()}`);
  }

  /** Ends the server. Idempotent. */
  stop(): Promise<Exit> {
    return this.#process.stop();
  }

  [Symbol.dispose](): void {
    this.#process.close();
  }
}

/** A resolver whose records a test can change. */
export class RecordResolver extends Resolver {
  readonly #publish: (records: readonly DnsRecord[], generation: number) => void;
  readonly #reload: Reload;
  #generation = 1;

  constructor(
    namespace: Namespace,
    listen: Listen,
    start: () => Process,
    publish: (records: readonly DnsRecord[], generation: number) => void,
    reload: Reload,
  ) {
    super(namespace, listen, start);
    this.#publish = publish;
    this.#reload = reload;
  }

  /** Replaces all records; resolves when the server answers with the new ones. */
  async replace(records: readonly DnsRecord[]): Promise<void> {
    this.#generation += 1;
    this.#publish(records, this.#generation);
    if (this.#reload === 'restart') return this.restart(this.#generation);
    this.process.kill('SIGHUP');
    await this.ready(this.#generation);
  }
}
