/* What asks for a list, over a real socket: one that reads, ones that do not, and what becomes of who asked. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { askControl } from '../../src/control/client.ts';
import { ControlServer } from '../../src/control/server.ts';
import { NameBook } from '../../src/enforcer/book.ts';
import { answerSuggest, type Suggestible } from '../../src/enforcer/suggesting.ts';
import { parseSeen } from '../../src/suggest/parse-seen.ts';
import { endLine } from '../../src/suggest/seen.ts';
import { SeenTargets } from '../../src/suggest/seen-targets.ts';
import { ScratchSocket } from '../containers/scratch-socket.ts';
import { RawClient } from '../control/raw-client.ts';
import { TIME_MS } from '../flow/events.ts';
import { until } from '../lab/wait.ts';
import { flowEvent, lookupEvent } from '../suggest/samples.ts';

const REQUEST = { command: 'suggest' };
const LINE = `${JSON.stringify(REQUEST)}\n`;
/** More than the buffers of sockets hold: each flow has every name. */
const NAMES = 250;
const FLOWS = 250;
const MANY = FLOWS * NAMES;
const FLOW_TEXT = 200;

class Bench implements Disposable {
  readonly seen = new SeenTargets(32_768);
  readonly #scratch = new ScratchSocket();
  readonly #server: ControlServer;

  constructor() {
    const source: Suggestible = {
      seen: this.seen,
      startedMs: TIME_MS,
      inForce: {
        options: {
          instance: 'bench',
          learning: [],
          enforced: [],
          resolvers: [],
          policies: [],
          wait: false,
          force: false,
        },
        adopts: false,
        trust: { host: [] },
      },
      policies: [],
      drain: () => undefined,
      book: new NameBook(),
    };
    this.#server = new ControlServer(this.path, new Map([['suggest', answerSuggest(source)]]));
  }

  get path(): string {
    return this.#scratch.path;
  }

  fill(): void {
    for (let name = 0; name < NAMES; name += 1)
      this.seen.look('host', `n${name}.test`, TIME_MS, ['198.51.100.7']);
    for (let port = 1; port <= FLOWS; port += 1) this.seen.take(flowEvent('198.51.100.7', port));
  }

  async ask(request: object = REQUEST): Promise<string[]> {
    const answer = await askControl(this.path, request);
    assert.ok(answer);
    const lines: string[] = [];
    for await (const line of answer) {
      lines.push(line);
      if (line === endLine(lines.length - 1)) break;
    }
    return lines;
  }

  [Symbol.dispose](): void {
    this.#server.close();
    this.#scratch[Symbol.dispose]();
  }
}

test('a list of many lines comes whole', async (context) => {
  const bench = new Bench();
  context.after(() => bench[Symbol.dispose]());
  bench.fill();
  const { seen } = parseSeen(await bench.ask());
  assert.deepEqual([seen.flows.length, seen.missing], [MANY + FLOWS, []]);
});

test('readers that stop get no more than their sockets hold, are no more than four, and make room by closing', async (context) => {
  const bench = new Bench();
  context.after(() => bench[Symbol.dispose]());
  bench.fill();
  const before = process.memoryUsage().heapUsed;
  const stuck = Array.from({ length: 4 }, () => new RawClient(bench.path));
  for (const client of stuck) client.send(LINE).socket.once('data', () => client.socket.pause());
  await until(() => stuck.every(({ socket }) => socket.isPaused()), {
    limitMs: 10_000,
    what: 'four readers',
  });
  await assert.rejects(bench.ask(), /4 lists are being made already/u);
  const whole = 4 * MANY * FLOW_TEXT;
  assert.ok(process.memoryUsage().heapUsed - before < whole / 2);
  for (const client of stuck) client.close();
  await until(async () => (await bench.ask().catch(() => [])).length > MANY, {
    limitMs: 10_000,
    what: 'a list for who asks later',
  });
});

test('reverse names are left out while who asked explains its list, and no longer', async (context) => {
  const bench = new Bench();
  context.after(() => bench[Symbol.dispose]());
  const look = (qname: string) =>
    bench.seen.take(lookupEvent(qname, { process: { pid: 77, uid: 0, comm: 'node' } }));
  const names = () => bench.seen.list(() => []).lookups.map(({ name }) => name);
  const client = new RawClient(bench.path);
  client.send(`${JSON.stringify({ ...REQUEST, pid: 77 })}\n`);
  await client.received('"kind":"end"');
  look('7.100.51.198.in-addr.arpa');
  look('a.test');
  assert.deepEqual(names(), ['a.test']);
  client.close();
  let number = 0;
  await until(
    () => {
      number += 1;
      look(`${number}.100.51.198.in-addr.arpa`);
      return names().length > 1;
    },
    { limitMs: 10_000, what: 'the end of the request' },
  );
});
