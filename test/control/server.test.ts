import assert from 'node:assert/strict';
import { existsSync, statSync, writeFileSync } from 'node:fs';
import { after, before, describe, test } from 'node:test';
import { askControl } from '../../src/control/client.ts';
import { type Answer, ControlServer, type Handler } from '../../src/control/server.ts';
import { SystemError } from '../../src/errors.ts';
import { ScratchSocket } from '../containers/scratch-socket.ts';
import { until } from '../lab/wait.ts';
import { RawClient } from './raw-client.ts';

const LIMIT_MS = 10_000;
const SOON = { limitMs: LIMIT_MS, what: 'a state of the server' };

/** Answers that the handlers of a bench hold. */
class Bench implements Disposable {
  readonly #scratch = new ScratchSocket();
  readonly server: ControlServer;
  readonly held: Answer[] = [];
  closed = 0;

  constructor() {
    const handlers = new Map<string, Handler>([
      [
        'echo',
        (request, answer) => {
          answer.send(`${JSON.stringify(Object.fromEntries(request))}\n`);
          answer.end();
        },
      ],
      [
        'hold',
        (_request, answer) => {
          answer.onceClosed(() => {
            this.closed += 1;
          });
          answer.send('{"held":true}\n');
          this.held.push(answer);
        },
      ],
      [
        'fail',
        async () => {
          await Promise.resolve();
          throw new SystemError('do it', 'EIO');
        },
      ],
    ]);
    this.server = new ControlServer(this.path, handlers);
  }

  get path(): string {
    return this.#scratch.path;
  }

  client(): RawClient {
    return new RawClient(this.path);
  }

  [Symbol.dispose](): void {
    this.server.close();
    this.#scratch[Symbol.dispose]();
  }
}

async function linesOf(lines: AsyncIterable<string> | undefined): Promise<string[]> {
  assert.ok(lines, 'somebody serves');
  const all: string[] = [];
  for await (const line of lines) all.push(line);
  return all;
}

describe('ControlServer', () => {
  let bench: Bench;
  before(() => {
    bench = new Bench();
  });
  after(() => bench[Symbol.dispose]());

  test('is for its owner only, whatever the umask', () => {
    for (const mask of [0o000, 0o022, 0o077, 0o777]) {
      using scratch = new ScratchSocket();
      const before = process.umask(mask);
      try {
        using _server = new ControlServer(scratch.path, new Map());
        assert.equal(statSync(scratch.path).mode & 0o7777, 0o600);
      } finally {
        process.umask(before);
      }
      assert.equal(process.umask(), before);
    }
  });

  test('answers: ok, the lines, an empty one', async () => {
    using client = bench.client();
    client.send('{"command":"echo","a":[1,"ü"]}\n');
    assert.equal(await client.whole(), '{"ok":true}\n{"command":"echo","a":[1,"ü"]}\n\n');
  });

  test('takes a request in pieces, and one whose end comes last', async () => {
    using client = bench.client();
    for (const byte of Buffer.from('{"command":"echo","a":"ü"}')) client.send(Uint8Array.of(byte));
    await until(() => client.socket.bytesWritten === 27, SOON);
    assert.equal(client.text, '');
    client.send('\n');
    assert.equal(await client.whole(), '{"ok":true}\n{"command":"echo","a":"ü"}\n\n');
  });

  test('takes one request of a connection', async () => {
    using client = bench.client();
    client.send('{"command":"echo","a":1}\n{"command":"echo","a":2}\n');
    assert.equal(await client.whole(), '{"ok":true}\n{"command":"echo","a":1}\n\n');
  });

  const refused: readonly (readonly [title: string, text: string | Uint8Array, error: RegExp])[] = [
    ['an empty line', '\n', /JSON/],
    ['no JSON', 'GET / HTTP/1.1\r\n\r\n', /JSON/],
    ['half of JSON', '{"command":\n', /JSON/],
    ['bytes that are no text', Uint8Array.of(0, 255, 128, 10), /JSON/],
    ['a list', '[{"command":"echo"}]\n', /^a request is an object$/],
    ['null', 'null\n', /^a request is an object$/],
    ['a number', '7\n', /^a request is an object$/],
    ['a text', '"echo"\n', /^a request is an object$/],
    ['no command', '{}\n', /^command undefined is not known: echo, hold, fail is legal$/],
    ['another command', '{"command":"ECHO"}\n', /^command "ECHO" is not known/],
    ['a command that is no text', '{"command":["echo"]}\n', /^command \["echo"\] is not known/],
    ['a command that objects have', '{"command":"constructor"}\n', /^command "constructor" is not known/],
    ['__proto__ as command', '{"command":"__proto__"}\n', /^command "__proto__" is not known/],
    ['a command of __proto__', '{"__proto__":{"command":"echo"}}\n', /^command undefined is not known/],
    ['deep JSON', `${'['.repeat(60_000)}\n`, /JSON/],
    ['a deep command', `{"command":${'['.repeat(30_000)}${']'.repeat(30_000)}}\n`, /stack|not known/],
    ['a handler that fails', '{"command":"fail"}\n', /^Cannot do it: EIO$/],
    ['a giant request', `{"command":"echo","a":"${'a'.repeat(1 << 17)}"}\n`, /more than 65536 characters/],
    ['a giant of no end', 'a'.repeat(1 << 20), /more than 65536 characters/],
    ['requests behind a giant', `${'a'.repeat(1 << 17)}\n{"command":"echo"}\n`, /more than 65536 characters/],
  ];
  for (const [title, text, error] of refused) {
    test(`refuses ${title}, once, and closes`, async () => {
      using client = bench.client();
      client.send(text);
      const lines = (await client.whole()).split('\n');
      assert.equal(lines.length, 2, lines.join('\n').slice(0, 300));
      const answer: unknown = JSON.parse(lines[0] ?? '');
      assert.ok(typeof answer === 'object' && answer !== null && 'ok' in answer && 'error' in answer);
      assert.equal(answer.ok, false);
      assert.match(`${answer.error}`, error);
      assert.equal('polluted' in {}, false);
    });
  }

  test('refuses who does not ask within 5 s, be it with half a request', async () => {
    using silent = bench.client();
    using half = bench.client();
    half.send('{"command":"echo"');
    const started = performance.now();
    assert.match(await silent.whole(), /^\{"ok":false,"error":"no request came in time"\}\n$/u);
    assert.match(await half.whole(), /no request came in time/u);
    const tookMs = performance.now() - started;
    assert.ok(tookMs > 4_500 && tookMs < 9_000, `${tookMs} ms`);
    // The rest comes too late.
    half.send('}\n');
    await until(() => half.socket.destroyed, SOON);
    assert.doesNotMatch(half.text, /"ok":true/u);
  });

  test('closes what was answered also to a client that never closes', async () => {
    const { createConnection } = await import('node:net');
    const socket = createConnection({ path: bench.path, allowHalfOpen: true });
    socket.write('{"command":"echo"}\n');
    socket.resume();
    let failure = '';
    socket.on('error', (error: NodeJS.ErrnoException) => {
      failure = error.code ?? '';
    });
    await until(() => {
      if (!socket.destroyed) socket.write('more\n');
      return failure;
    }, SOON);
    assert.match(failure, /EPIPE|ECONNRESET/u);
  });

  test('lets go of a client that closes its end, or dies', async () => {
    const { closed } = bench;
    using leaving = bench.client();
    leaving.send('{"command":"hold"}\n');
    await leaving.received('held');
    leaving.socket.end();
    await until(() => bench.closed === closed + 1, SOON);
    const dying = bench.client();
    dying.send('{"command":"hold"}\n');
    await dying.received('held');
    dying.socket.destroy();
    await until(() => bench.closed === closed + 2, SOON);
    // What is sent to it goes nowhere, and hurts nobody.
    for (const answer of bench.held) {
      assert.equal(answer.send('{"late":true}\n'), true);
      answer.end();
    }
  });
});

test('a reader that does not read is told of, and loses nothing that was sent', async () => {
  using bench = new Bench();
  using client = bench.client();
  client.send('{"command":"hold"}\n');
  await client.received('held');
  const [answer] = bench.held;
  assert.ok(answer);
  client.socket.pause();
  const line = `"${'x'.repeat(60_000)}"\n`;
  let sent = 0;
  while (answer.send(line)) sent += 1;
  assert.ok(sent > 3 && sent < 40, `${sent} lines of 60 kB until it counts as behind`);
  let isReady = false;
  answer.onceReady(() => {
    isReady = true;
  });
  client.socket.resume();
  await until(() => isReady, SOON);
  assert.equal(answer.send('"last"\n'), true);
  answer.end();
  assert.equal(await client.whole(), `{"ok":true}\n{"held":true}\n${line.repeat(sent + 1)}"last"\n\n`);
});

test('1,000 clients at once: 256 are served, the others told so, and those before go on', async () => {
  using bench = new Bench();
  const clients = Array.from({ length: 1_000 }, () => bench.client());
  try {
    for (const client of clients) client.send('{"command":"hold"}\n');
    const isTold = ({ text }: RawClient) => text.includes('held') || text.includes('"ok":false');
    await until(() => clients.every(isTold), { limitMs: 30_000, what: 'an answer to each' });
    const served = clients.filter(({ text }) => text.includes('held'));
    const others = clients.filter(({ text }) => !text.includes('held'));
    assert.equal(served.length, 256);
    for (const { text } of others)
      assert.equal(text, '{"ok":false,"error":"256 clients are connected already"}\n');
    for (const answer of bench.held) answer.send('{"more":1}\n');
    await until(() => served.every(({ text }) => text.endsWith('{"more":1}\n')), SOON);
    served[0]?.close();
    await until(() => bench.closed === 1, SOON);
    assert.deepEqual(await linesOf(await askControl(bench.path, { command: 'echo' })), [
      '{"command":"echo"}',
    ]);
  } finally {
    for (const client of clients) client.close();
  }
});

describe('closing a ControlServer', () => {
  test('ends answers as whole ones, behind what their handlers had left to say', async () => {
    using bench = new Bench();
    using client = bench.client();
    client.send('{"command":"hold"}\n');
    await client.received('held');
    const [answer] = bench.held;
    answer?.onceEnding(() => {
      answer.send('"last words"\n');
      answer.end();
    });
    bench.server.close();
    bench.server.close();
    assert.equal(await client.whole(), '{"ok":true}\n{"held":true}\n"last words"\n\n');
    assert.equal(existsSync(bench.path), false);
    assert.equal(await askControl(bench.path, { command: 'echo' }), undefined);
  });

  test('cuts off an answer that its handler does not end soon', async () => {
    using bench = new Bench();
    using client = bench.client();
    client.send('{"command":"hold"}\n');
    await client.received('held');
    bench.held[0]?.onceEnding(() => {});
    const started = performance.now();
    bench.server.close();
    assert.equal(await client.whole(), '{"ok":true}\n{"held":true}\n');
    assert.ok(performance.now() - started < 2_000);
  });

  test('refuses who was about to ask', async () => {
    using bench = new Bench();
    using client = bench.client();
    using asking = bench.client();
    client.send('{"command":"hold"}\n');
    await client.received('held');
    asking.send('{"command":');
    await until(() => asking.socket.bytesWritten > 0, SOON);
    bench.server.close();
    assert.match(await asking.whole(), /^(\{"ok":false,"error":"the process ends"\}\n)?$/u);
  });

  test('does not wait for a reader that has stopped, and its answer is not whole', async () => {
    using bench = new Bench();
    using client = bench.client();
    client.send('{"command":"hold"}\n');
    await client.received('held');
    client.socket.pause();
    const [answer] = bench.held;
    const line = `"${'x'.repeat(60_000)}"\n`;
    while (answer?.send(line));
    const started = performance.now();
    bench.server.close();
    await until(() => bench.closed === 1, SOON);
    assert.ok(performance.now() - started < 5_000);
    client.socket.resume();
    assert.doesNotMatch(await client.whole(), /\n\n$/u);
  });

  test('leaves the socket of the next server alone', async () => {
    using bench = new Bench();
    bench.server.close();
    using next = new ControlServer(
      bench.path,
      new Map<string, Handler>([['who', (_request, answer) => answer.end()]]),
    );
    bench.server.close();
    assert.deepEqual(await linesOf(await askControl(bench.path, { command: 'who' })), []);
    next.close();
  });
});

describe('a ControlServer replaces', () => {
  test('the socket of a killed process', async () => {
    using scratch = new ScratchSocket();
    const { spawnSync } = await import('node:child_process');
    const listen =
      'require("net").createServer().listen(process.argv[1], () => process.kill(process.pid, "SIGKILL"))';
    spawnSync(process.execPath, ['-e', listen, scratch.path]);
    assert.ok(statSync(scratch.path).isSocket());
    assert.equal(await askControl(scratch.path, { command: 'who' }), undefined);
    using _server = new ControlServer(
      scratch.path,
      new Map<string, Handler>([['who', (_request, answer) => answer.end()]]),
    );
    assert.deepEqual(await linesOf(await askControl(scratch.path, { command: 'who' })), []);
  });

  test('a file', async () => {
    using scratch = new ScratchSocket();
    writeFileSync(scratch.path, '');
    using _server = new ControlServer(scratch.path, new Map());
    assert.ok(statSync(scratch.path).isSocket());
  });

  test('nothing where the path is too long, and says so', () => {
    assert.throws(
      () => new ControlServer(`/tmp/${'a'.repeat(200)}`, new Map()),
      (thrown) => thrown instanceof SystemError,
    );
  });
});
