/* Servers behind a unix socket that are no containerd, or one that went mad: each is a state with a reason, no more. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer, type Server } from 'node:net';
import { describe, test } from 'node:test';
import { GrpcClient } from '../../src/containers/grpc-client.ts';
import { encodeGrpcFrame } from '../../src/containers/grpc-frames.ts';
import { Fields } from '../../src/containers/protobuf.ts';
import { SystemError } from '../../src/errors.ts';
import { until } from '../lab/wait.ts';
import { grpcServer, reply, serve } from './grpc-server.ts';
import { envelope, message } from './protobuf.ts';
import { Recorder } from './recorder.ts';
import { ScratchSocket } from './scratch-socket.ts';

const HUGE = Buffer.from([0, 0xff, 0xff, 0xff, 0xff]);
const EMPTY = new Uint8Array(0);

describe('watchContainers survives a containerd that', () => {
  const rows: readonly (readonly [what: string, server: () => Server, reason: RegExp])[] = [
    ['hangs up', () => createServer((socket) => socket.destroy()), /ECONNRESET|no status|EPIPE/u],
    [
      'speaks another protocol',
      () => createServer((socket) => socket.end('HTTP/1.1 400\r\n\r\n')),
      /Cannot call/u,
    ],
    [
      'refuses each call',
      () => grpcServer((stream) => reply(stream, '7')),
      /\(as asked\): PERMISSION_DENIED$/u,
    ],
    [
      'answers without a message',
      () => grpcServer((stream, method) => method !== 'Subscribe' && reply(stream, '0')),
      /no answer/u,
    ],
    [
      'answers what is no protobuf',
      () =>
        grpcServer(
          (stream, method) => method !== 'Subscribe' && reply(stream, '0', Buffer.from([0x0a, 0x7f])),
        ),
      /no protobuf message/u,
    ],
    [
      'announces a giant message',
      () =>
        grpcServer((stream) => {
          stream.respond({ ':status': 200 });
          stream.write(HUGE);
        }),
      /4294967295 bytes: \d+ are legal/u,
    ],
    [
      'sends an event that is none',
      () =>
        grpcServer((stream, method) => {
          if (method !== 'Subscribe') return reply(stream, '0', EMPTY);
          stream.respond({ ':status': 200 });
          stream.write(encodeGrpcFrame(Buffer.from([0xff])));
        }),
      /no protobuf message/u,
    ],
  ];
  for (const [what, server, reason] of rows) {
    test(what, () =>
      serve(server(), async (path) => {
        using recorder = new Recorder({ containerd: [path] });
        await recorder.watch.ready;
        const down = await recorder.state('down');
        assert.match(down.state === 'down' ? down.reason : '', reason);
        assert.deepEqual(recorder.events, []);
      }),
    );
  }

  test('left its socket behind', async () => {
    using socket = new ScratchSocket();
    const listen = 'require("net").createServer().listen(process.argv[1], () => console.log("listening"))';
    const daemon = spawn(process.execPath, ['-e', listen, socket.path], {
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    await once(daemon.stdout, 'data');
    daemon.kill('SIGKILL');
    await once(daemon, 'exit');
    using recorder = new Recorder({ containerd: [socket.path] });
    const down = await recorder.state('down');
    assert.match(down.state === 'down' ? down.reason : '', /ECONNREFUSED$/u);
  });

  test('tells of more containers than are followed', { timeout: 60_000 }, () => {
    const server = grpcServer((stream, method) => {
      if (method === 'Get') return reply(stream, '5');
      if (method !== 'Subscribe') return reply(stream, '0', EMPTY);
      stream.respond({ ':status': 200 });
      let sent = 0;
      const send = () => {
        while (sent < 6_000) {
          sent += 1;
          const event = message([1, `c${sent}`], [2, process.pid]);
          if (!stream.write(encodeGrpcFrame(envelope('ns', '/tasks/start', event)))) {
            stream.once('drain', send);
            return;
          }
        }
      };
      send();
    });
    return serve(server, async (path) => {
      using recorder = new Recorder({ containerd: [path] });
      await until(() => recorder.remarks.length > 0, { limitMs: 50_000, what: 'the remark' });
      assert.match(recorder.remarks.join(), /^more than 4096 containers run/u);
      assert.equal(recorder.watch.containers.length, 4096);
    });
  });
});

describe('GrpcClient', () => {
  test('gives up on a server that says nothing', () =>
    serve(
      createServer(() => {}),
      async (path) => {
        using client = new GrpcClient(path);
        const call = client.stream('/x/Y', EMPTY, { limitBytes: 100 }, () => {}, 100);
        await assert.rejects(call, (thrown) => thrown instanceof SystemError && thrown.code === 'ETIMEDOUT');
      },
    ));

  test('rejects what is under way when it is closed, and what is called after', () =>
    serve(
      createServer(() => {}),
      async (path) => {
        const client = new GrpcClient(path);
        const call = client.call('/x/Y', EMPTY, { limitBytes: 100 });
        client.close();
        client.close();
        await assert.rejects(call, SystemError);
        await assert.rejects(client.call('/x/Y', EMPTY, { limitBytes: 100 }), SystemError);
      },
    ));

  test('gives each message of a stream, and waits for who takes it', () => {
    const server = grpcServer((stream) =>
      reply(stream, '0', message([1, 1]), EMPTY, message([1, 'x'.repeat(99)])),
    );
    return serve(server, async (path) => {
      using client = new GrpcClient(path);
      const lengths: number[] = [];
      let busy = 0;
      await client.stream('/x/Y', EMPTY, { limitBytes: 200 }, async ({ length }) => {
        assert.equal(busy++, 0);
        await new Promise(setImmediate);
        busy -= 1;
        lengths.push(length);
      });
      assert.deepEqual(lengths, [2, 0, 101]);
    });
  });

  test('sends the namespace', () => {
    const server = grpcServer((stream, _method, namespace) => reply(stream, '0', message([1, namespace])));
    return serve(server, async (path) => {
      using client = new GrpcClient(path);
      const answer = await client.call('/x/Y', EMPTY, { limitBytes: 100, namespace: 'moby' });
      assert.equal(new Fields(answer).text(1), 'moby');
    });
  });
});
