/* The end of an enforcer whose events are followed by many that do not read, through a real control socket. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { ControlServer, type Handler } from '../../src/control/server.ts';
import { observe } from '../../src/enforcer/observing.ts';
import { EventFeed } from '../../src/flow/feed.ts';
import { ScratchSocket } from '../containers/scratch-socket.ts';
import { RawClient } from '../control/raw-client.ts';
import { FLOW } from '../flow/events.ts';
import { until } from '../lab/wait.ts';

const STUCK = 250;
const EVENTS = 8_000;
const SOON = { limitMs: 20_000, what: 'a state of the readers' };
const MAX_MS = 1_000;
const MAX_GROWTH = 48 << 20;

function tookMemory(): number {
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}

test(`${STUCK} readers that do not read, and one that does: an end within a second, whole for that one`, async () => {
  using scratch = new ScratchSocket();
  const feed = new EventFeed(10);
  let open = 0;
  const handler: Handler = (request, answer) => {
    open += 1;
    answer.onceClosed(() => {
      open -= 1;
    });
    return observe(feed, request, answer);
  };
  using server = new ControlServer(scratch.path, new Map([['observe', handler]]));
  const clients = Array.from({ length: STUCK + 1 }, () => new RawClient(scratch.path));
  try {
    for (const client of clients) client.send('{"command":"observe","follow":true,"last":0}\n');
    await until(() => clients.every(({ text }) => text.includes('"ok":true')), SOON);
    const [reader, ...stuck] = clients;
    assert.ok(reader);
    for (const { socket } of stuck) socket.pause();
    const publish = (seq: number) => feed.publish({ ...FLOW, seq });
    for (let seq = 1; seq <= EVENTS; seq += 1) {
      publish(seq);
      if (seq % 100 === 0) await nextTurn();
    }
    await until(() => reader.text.includes(`"seq":${EVENTS},`), SOON);
    publish(EVENTS + 1);
    const before = tookMemory();
    let most = before;
    const started = performance.now();
    server.close();
    await until(() => {
      most = Math.max(most, tookMemory());
      return open === 0;
    }, SOON);
    const tookMs = performance.now() - started;
    assert.ok(tookMs < MAX_MS, `${tookMs} ms`);
    assert.ok(most - before < MAX_GROWTH, `${(most - before) >> 20} MB more`);
    assert.match(await reader.whole(), new RegExp(`"seq":${EVENTS + 1},.*\\n\\n$`, 'u'));
    const [one] = stuck;
    one?.socket.resume();
    const cut = (await one?.whole()) ?? '';
    assert.ok(cut.length > 0);
    assert.doesNotMatch(cut, /\n\n$/u, 'it can see that its answer is not whole');
  } finally {
    for (const client of clients) client.close();
  }
});

test('a reader that is behind and reads on gets all until the end', async () => {
  using scratch = new ScratchSocket();
  const feed = new EventFeed(10);
  const handler: Handler = (request, answer) => observe(feed, request, answer);
  using server = new ControlServer(scratch.path, new Map([['observe', handler]]));
  using client = new RawClient(scratch.path);
  client.send('{"command":"observe","follow":true,"last":0}\n');
  await client.received('"ok":true');
  for (let seq = 1; seq <= EVENTS; seq += 1) feed.publish({ ...FLOW, seq });
  server.close();
  const events = (await client.whole()).split('\n').filter((line) => line.includes('"seq"'));
  assert.equal(events.length, EVENTS);
  assert.match(client.text, /\n\n$/u);
});
