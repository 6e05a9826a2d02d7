import assert from 'node:assert/strict';
import { createServer, type Socket } from 'node:net';
import { describe, test } from 'node:test';
import { askControl, CUT_SHORT } from '../../src/control/client.ts';
import { SystemError } from '../../src/errors.ts';
import { ScratchSocket } from '../containers/scratch-socket.ts';

/** A server that does `act` with what each client sends. */
async function serve(
  scratch: ScratchSocket,
  act: (socket: Socket, text: string) => void,
): Promise<Disposable> {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => {});
    socket.on('data', (bytes) => act(socket, bytes.toString()));
  });
  await new Promise<void>((resolve) => server.listen(scratch.path, resolve));
  return {
    [Symbol.dispose]: () => {
      server.close();
      for (const socket of sockets) socket.destroy();
    },
  };
}

async function collect(lines: AsyncIterable<string> | undefined, into: string[] = []): Promise<string[]> {
  assert.ok(lines, 'somebody serves');
  for await (const line of lines) into.push(line);
  return into;
}

const isCode = (code: string) => (thrown: unknown) => thrown instanceof SystemError && thrown.code === code;

describe('askControl', () => {
  test('sends the request as a line and gives the lines of the answer, wherever they were split', async () => {
    using scratch = new ScratchSocket();
    let asked = '';
    using _server = await serve(scratch, async (socket, text) => {
      asked += text;
      for (const byte of Buffer.from('{"ok":true}\n{"a":"ü"}\n{"b":2}\n\n')) {
        await new Promise((resolve) => socket.write(Uint8Array.of(byte), resolve));
      }
    });
    assert.deepEqual(await collect(await askControl(scratch.path, { command: 'x' })), [
      '{"a":"ü"}',
      '{"b":2}',
    ]);
    assert.equal(asked, '{"command":"x"}\n');
  });

  test('is answered undefined where nobody serves', async () => {
    using scratch = new ScratchSocket();
    assert.equal(await askControl(scratch.path, {}), undefined);
    using _server = await serve(scratch, (socket) => socket.destroy());
    assert.equal(await askControl(scratch.path, {}), undefined);
  });

  test('throws what the server says where it refuses', async () => {
    using scratch = new ScratchSocket();
    using _server = await serve(scratch, (socket) => socket.end('{"ok":false,"error":"not today"}\n'));
    await assert.rejects(askControl(scratch.path, {}), /Cannot have an answer: not today: EPROTO/u);
  });

  test('throws for an answer that is none', async () => {
    using scratch = new ScratchSocket();
    using _server = await serve(scratch, (socket) => socket.end('HTTP/1.1 400 Bad Request\n'));
    await assert.rejects(askControl(scratch.path, {}), isCode('EPROTO'));
  });

  for (const [title, rest] of [
    ['in the middle of a line', '{"a":1}\n{"b"'],
    ['behind a line', '{"a":1}\n'],
  ] as const) {
    test(`tells an answer that was cut short ${title} from one that was ended`, async () => {
      using scratch = new ScratchSocket();
      using _server = await serve(scratch, (socket) => socket.end(`{"ok":true}\n${rest}`));
      const had: string[] = [];
      await assert.rejects(collect(await askControl(scratch.path, {}), had), isCode(CUT_SHORT));
      assert.deepEqual(had, ['{"a":1}']);
    });
  }

  test('ends with its signal: before the answer, in its middle, from the start', async () => {
    using scratch = new ScratchSocket();
    using _server = await serve(scratch, (socket, text) => {
      if (text.includes('talk')) socket.write('{"ok":true}\n"a"\n');
    });
    const early = new AbortController();
    const pending = askControl(scratch.path, { command: 'silent' }, early.signal);
    setImmediate(() => early.abort());
    assert.equal(await pending, undefined);
    const middle = new AbortController();
    const lines = await askControl(scratch.path, { command: 'talk' }, middle.signal);
    assert.ok(lines);
    const had: string[] = [];
    for await (const line of lines) {
      had.push(line);
      middle.abort();
    }
    assert.deepEqual(had, ['"a"']);
    assert.equal(await askControl(scratch.path, { command: 'talk' }, AbortSignal.abort()), undefined);
  });

  test('refuses a line without end', async () => {
    using scratch = new ScratchSocket();
    using _server = await serve(scratch, (socket) =>
      socket.write(`{"ok":true}\n${'x'.repeat((1 << 20) + 1)}`),
    );
    await assert.rejects(collect(await askControl(scratch.path, {})), RangeError);
  });
});
