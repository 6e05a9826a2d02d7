/* A server that speaks containerd's API, whose lists and events come in the orders that a real one gives once a year. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import type { ServerHttp2Stream } from 'node:http2';
import { after, before, describe, test } from 'node:test';
import { encodeGrpcFrame } from '../../src/containers/grpc-frames.ts';
import { until } from '../lab/wait.ts';
import { grpcServer, reply, serve } from './grpc-server.ts';
import { envelope, type Field, message } from './protobuf.ts';
import { Recorder } from './recorder.ts';

const RUNNING = 2;
const LIMIT = { limitMs: 5_000, what: 'the call' };

/** The calls of a server that answers only when told to; about the container, from the first time on. */
class Calls {
  #knowsContainer = false;
  readonly #streams = new Map<string, ServerHttp2Stream>();
  readonly server = grpcServer((stream, method) => {
    if (method === 'Subscribe') stream.respond({ ':status': 200 });
    if (method === 'Get' && this.#knowsContainer) this.#describe(stream);
    this.#streams.set(method === 'List' && this.#streams.has('List') ? 'List 2' : method, stream);
  });

  of(method: string): Promise<ServerHttp2Stream> {
    return until(() => this.#streams.get(method), LIMIT);
  }

  async namespaces(): Promise<void> {
    reply(await this.of('List'), '0', message([1, message([1, 'ns'])]));
  }

  async tasks(...pids: readonly number[]): Promise<void> {
    const tasks = pids.map((pid) => [1, message([2, 'web'], [3, pid], [4, RUNNING])] as const);
    reply(await this.of('List 2'), '0', message(...tasks));
  }

  async container(): Promise<void> {
    this.#describe(await this.of('Get'));
    this.#knowsContainer = true;
  }

  #describe(stream: ServerHttp2Stream): void {
    reply(stream, '0', message([1, message([1, 'web'], [3, 'image'])]));
  }

  async event(topic: string, ...fields: readonly Field[]): Promise<void> {
    const stream = await this.of('Subscribe');
    stream.write(encodeGrpcFrame(envelope('ns', topic, message([1, 'web'], ...fields))));
  }
}

describe('watchContainers', () => {
  let child: ChildProcess;
  let pid: number;
  before(() => {
    child = spawn('sleep', ['1000'], { stdio: 'ignore' });
    pid = child.pid ?? 0;
  });
  after(() => child.kill('SIGKILL'));

  test('does not bring back what ended while the list that still has it was under way', () => {
    const calls = new Calls();
    return serve(calls.server, async (path) => {
      using recorder = new Recorder({ containerd: [path] });
      await calls.namespaces();
      await calls.of('List 2');
      await calls.event('/tasks/exit', [2, 'web'], [3, pid]);
      await calls.event('/tasks/start', [2, pid + 1]); // it is read once the one before it was
      await calls.container();
      await recorder.event('started', 'web');
      await calls.tasks(pid);
      await recorder.state('following');
      assert.deepEqual(
        recorder.events.map(({ kind, container }) => [kind, container.pid]),
        [['started', pid + 1]],
      );
    });
  });

  test('keeps what started while a list that has it not was under way', () => {
    const calls = new Calls();
    return serve(calls.server, async (path) => {
      using recorder = new Recorder({ containerd: [path] });
      await calls.namespaces();
      await calls.of('List 2');
      await calls.event('/tasks/create', [6, 9_999_999]);
      await calls.container();
      await recorder.event('created', 'web');
      await calls.tasks();
      await recorder.state('following');
      assert.deepEqual(recorder.summary(), ['created web']);
    });
  });

  test('tells a start after its create, though the create waits for the name', () => {
    const calls = new Calls();
    return serve(calls.server, async (path) => {
      using recorder = new Recorder({ containerd: [path] });
      await calls.event('/tasks/create', [6, pid]);
      await calls.event('/tasks/start', [2, pid]);
      await calls.event('/tasks/exit', [2, 'web'], [3, pid]);
      await calls.container();
      await recorder.event('ended', 'web');
      assert.deepEqual(recorder.summary(), ['created web', 'started web', 'ended web']);
    });
  });
});
