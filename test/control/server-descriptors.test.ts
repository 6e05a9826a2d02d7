/* A ControlServer in a process of its own that may have few descriptors. */
import assert from 'node:assert/strict';
import { type ChildProcessByStdio, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import type { Readable, Writable } from 'node:stream';
import { test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { ScratchSocket } from '../containers/scratch-socket.ts';
import { until } from '../lab/wait.ts';
import { RawClient } from './raw-client.ts';

const DESCRIPTORS = 80;
const SERVED = DESCRIPTORS / 4;
const SOON = { limitMs: 10_000, what: 'an answer' };
const WINDOW_MS = 1_000;

class LimitedServer implements Disposable {
  readonly #scratch = new ScratchSocket();
  readonly #process: ChildProcessByStdio<Writable, Readable, null>;
  readonly #answers: AsyncIterator<string>;

  constructor() {
    const script = fileURLToPath(new URL('limited-server.js', import.meta.url));
    const words = [`--nofile=${DESCRIPTORS}:${DESCRIPTORS}`, process.execPath, script, this.#scratch.path];
    this.#process = spawn('prlimit', words, { stdio: ['pipe', 'pipe', 'inherit'] });
    this.#answers = createInterface({ input: this.#process.stdout })[Symbol.asyncIterator]();
  }

  /** The next line that it writes. */
  async answer(): Promise<string> {
    const { value, done } = await this.#answers.next();
    assert.ok(!done, 'it runs');
    return value;
  }

  ask(line: string): Promise<string> {
    this.#process.stdin.write(`${line}\n`);
    return this.answer();
  }

  client(): RawClient {
    return new RawClient(this.#scratch.path);
  }

  [Symbol.dispose](): void {
    this.#process.kill('SIGKILL');
    this.#scratch[Symbol.dispose]();
  }
}

test('no descriptor is left: it waits at no cost, and answers who waited once there is one', async () => {
  using server = new LimitedServer();
  assert.equal(await server.answer(), 'ready');
  using first = server.client();
  first.send('{"command":"who"}\n');
  assert.equal(await first.whole(), '{"ok":true}\n\n');
  assert.equal(await server.ask('fill'), 'full');
  using waiting = server.client();
  waiting.send('{"command":"who"}\n');
  const before = Number(await server.ask('cpu'));
  await pause(WINDOW_MS); // what is measured is what this time costs it
  const spentMs = Number(await server.ask('cpu')) - before;
  assert.ok(spentMs < WINDOW_MS / 5, `${spentMs} ms of CPU in ${WINDOW_MS} ms`);
  assert.equal(waiting.text, '');
  assert.equal(await server.ask('free'), 'freed');
  assert.equal(await waiting.whole(), '{"ok":true}\n\n');
});

test('more clients than a quarter of the descriptors: told so and closed, and there is room for all else', async () => {
  using server = new LimitedServer();
  assert.equal(await server.answer(), 'ready');
  const clients = Array.from({ length: 4 * DESCRIPTORS }, () => server.client());
  try {
    for (const client of clients) client.send('{"command":"hold"}\n');
    const isAnswered = ({ text, isOver }: RawClient) => text.includes('held') || isOver;
    await until(() => clients.every(isAnswered), SOON);
    assert.equal(await server.ask('read'), 'true');
    const served = clients.filter(({ text }) => text.includes('held'));
    assert.equal(served.length, SERVED);
    const told = clients.filter(({ text }) => text.includes('"ok":false'));
    assert.ok(told.length >= SERVED, `${told.length} were told why`);
    assert.equal(told[0]?.text, `{"ok":false,"error":"${SERVED} clients are connected already"}\n`);
    for (const client of served) client.close();
    await until(async () => {
      using late = server.client();
      late.send('{"command":"who"}\n');
      return (await late.whole()).includes('"ok":true');
    }, SOON);
  } finally {
    for (const client of clients) client.close();
  }
});
