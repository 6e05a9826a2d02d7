import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Readable, Writable } from 'node:stream';
import { cleanEnvironment } from '../lab/command.ts';
import type { Namespace } from '../lab/namespace.ts';

/** What a call of the DevTools protocol answers, and what an event of it has: as the method says. */
export type Answer = Record<string, unknown>;

interface Call {
  readonly resolve: (answer: Answer) => void;
  readonly reject: (cause: Error) => void;
}

/** The first tab waits for a browser that comes from a cold disk. */
const CALL_LIMIT_MS = 45_000;
const FLAGS = [
  '--headless=new',
  '--no-sandbox', // root can't have one
  '--remote-debugging-pipe',
  '--disable-gpu',
  '--disable-dev-shm-usage',
  '--hide-scrollbars',
  '--force-color-profile=srgb',
  '--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1', // what it asks for itself is no traffic of a test
  '--no-first-run',
  '--no-default-browser-check',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-default-apps',
  '--disable-extensions',
  '--disable-sync',
  '--disable-domain-reliability',
  '--disable-features=OptimizationHints,MediaRouter,DialMediaRouteProvider,AutofillServerCommunication,CertificateTransparencyComponentUpdater',
  // Each tab draws, whichever is in front.
  '--disable-backgrounding-occluded-windows',
  '--disable-renderer-backgrounding',
  '--disable-background-timer-throttling',
  '--mute-audio',
  '--no-pings',
];

/**
 * A headless Chromium in a namespace, with a profile of its own, spoken to by the DevTools protocol over two pipes:
 * messages of JSON, each ended by a zero byte. Closing it ends it.
 */
export class Chromium implements Disposable {
  readonly #child: ChildProcess;
  readonly #to: Writable;
  readonly #profile = mkdtempSync(join(tmpdir(), 'l7egg-chromium-'));
  readonly #calls = new Map<number, Call>();
  readonly #listeners = new Set<(method: string, params: Answer, sessionId: string) => void>();
  #lastId = 0;
  #rest = '';

  constructor(namespace: Namespace) {
    const argv = namespace.argv('chromium', [...FLAGS, `--user-data-dir=${this.#profile}`, 'about:blank']);
    this.#child = spawn('setpriv', ['--pdeathsig', 'KILL', ...argv], {
      env: cleanEnvironment({ TZ: 'UTC' }),
      detached: true,
      stdio: ['ignore', 'ignore', 'ignore', 'pipe', 'pipe'],
    });
    const [, , , to, from] = this.#child.stdio;
    if (!isWritable(to) || !isReadable(from)) throw new Error('Cannot start Chromium: it has no pipes');
    this.#to = to;
    from.setEncoding('utf8').on('data', (text: string) => this.#read(text));
    this.#child.once('exit', () => {
      for (const { reject } of this.#calls.values()) reject(new Error('Chromium has ended'));
    });
  }

  /** Calls a method of the browser, or of a page's session. Rejects with what the browser says is wrong. */
  call(method: string, params: Answer = {}, sessionId?: string): Promise<Answer> {
    this.#lastId += 1;
    const id = this.#lastId;
    const answer = new Promise<Answer>((resolve, reject) => {
      const late = () => reject(new Error(`Chromium: no answer to ${method} within ${CALL_LIMIT_MS} ms`));
      const limit = setTimeout(late, CALL_LIMIT_MS);
      this.#calls.set(id, {
        resolve: (value) => {
          clearTimeout(limit);
          resolve(value);
        },
        reject: (cause) => {
          clearTimeout(limit);
          reject(cause);
        },
      });
    });
    this.#to.write(
      `${JSON.stringify({ id, method, params, ...(sessionId !== undefined && { sessionId }) })}\0`,
    );
    return answer;
  }

  /** Calls `listener` with each event from now on. */
  onEvent(listener: (method: string, params: Answer, sessionId: string) => void): void {
    this.#listeners.add(listener);
  }

  /** Idempotent. */
  close(): void {
    const { pid, exitCode, signalCode } = this.#child;
    if (pid !== undefined && exitCode === null && signalCode === null) process.kill(-pid, 'SIGKILL');
    rmSync(this.#profile, { recursive: true, force: true, maxRetries: 20, retryDelay: 50 });
  }

  [Symbol.dispose](): void {
    this.close();
  }

  #read(text: string): void {
    const messages = (this.#rest + text).split('\0');
    this.#rest = messages.pop() ?? '';
    for (const message of messages) this.#take(JSON.parse(message));
  }

  #take(message: {
    id?: number;
    result?: Answer;
    error?: Answer;
    method?: string;
    params?: Answer;
    sessionId?: string;
  }): void {
    const { id, result, error, method, params = {}, sessionId = '' } = message;
    if (method !== undefined) for (const listener of this.#listeners) listener(method, params, sessionId);
    const call = id === undefined ? undefined : this.#calls.get(id);
    if (!call || id === undefined) return;
    this.#calls.delete(id);
    if (error) call.reject(new Error(`Chromium: ${error.message}`));
    else call.resolve(result ?? {});
  }
}

function isWritable(stream: unknown): stream is Writable {
  return typeof stream === 'object' && stream !== null && 'write' in stream;
}

function isReadable(stream: unknown): stream is Readable {
  return typeof stream === 'object' && stream !== null && 'setEncoding' in stream;
}
