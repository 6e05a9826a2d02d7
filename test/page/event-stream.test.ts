import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { EventFeed } from '../../src/flow/feed.ts';
import { renderJson } from '../../src/flow/render-json.ts';
import { EventStream } from '../../src/page/event-stream.ts';
import { type StreamMessage, StreamParser } from '../../src/view/stream-parser.ts';
import { FLOW } from '../flow/events.ts';
import { until } from '../lab/wait.ts';

const KEPT = 2_000;
const LIMIT_MS = 2_000;

/** A reader whose line takes everything, or nothing until it is let go on. */
class Reader {
  readonly messages: StreamMessage[] = [];
  readonly #parser = new StreamParser();
  writableLength = 0;
  isStuck = false;
  #onDrained: (() => void) | undefined;

  write(text: string): void {
    if (this.isStuck) this.writableLength += text.length;
    this.messages.push(...this.#parser.push(text));
  }

  onceDrained(act: () => void): void {
    this.#onDrained = act;
  }

  goOn(): void {
    this.isStuck = false;
    this.writableLength = 0;
    this.#onDrained?.();
  }

  get seqs(): number[] {
    return this.of('events').flatMap(({ lines }) => lines.map((line): number => JSON.parse(line).seq));
  }

  of(kind: string): StreamMessage[] {
    return this.messages.filter((message) => message.kind === kind);
  }
}

function publish(feed: EventFeed, from: number, to: number): void {
  for (let seq = from; seq <= to; seq += 1) feed.publish({ ...FLOW, seq });
}

function range(from: number, to: number): number[] {
  return Array.from({ length: to - from + 1 }, (_, index) => from + index);
}

function open(feed: EventFeed, seq = 0, state = () => '{}'): { reader: Reader; stream: EventStream } {
  const reader = new Reader();
  return { reader, stream: new EventStream(reader, { feed, run: 'run', render: renderJson, state }, seq) };
}

async function untilLast(reader: Reader, seq: number): Promise<void> {
  await until(() => reader.seqs.at(-1) === seq, { limitMs: LIMIT_MS, what: `event ${seq}` });
}

describe('EventStream', () => {
  test('tells the state, what was kept, then what comes, each once', async () => {
    const feed = new EventFeed(KEPT);
    publish(feed, 1, 1_200);
    const { reader, stream } = open(feed);
    publish(feed, 1_201, 1_210);
    await untilLast(reader, 1_210);
    publish(feed, 1_211, 1_220);
    await untilLast(reader, 1_220);
    assert.equal(reader.messages[0]?.kind, 'state');
    assert.deepEqual(reader.seqs, range(1, 1_220));
    assert.deepEqual(reader.of('lost'), []);
    stream.close();
    assert.equal(feed.readers, 0);
  });

  test('tells of many events in few messages', async () => {
    const feed = new EventFeed(KEPT);
    const { reader, stream } = open(feed);
    publish(feed, 1, 400);
    await untilLast(reader, 400);
    assert.equal(reader.of('events').length, 1);
    stream.close();
  });

  test('goes on after the last that a reader had', async () => {
    const feed = new EventFeed(KEPT);
    publish(feed, 1, 50);
    const { reader, stream } = open(feed, 40);
    await untilLast(reader, 50);
    assert.deepEqual(reader.seqs, range(41, 50));
    assert.equal(reader.of('events').at(-1)?.id, 'run.50');
    stream.close();
  });

  test('a stuck reader is written no more to, loses what falls out, and is told how much', async () => {
    const feed = new EventFeed(KEPT);
    const { reader, stream } = open(feed);
    reader.isStuck = true;
    publish(feed, 1, KEPT);
    await until(() => reader.writableLength > 1 << 18, { limitMs: LIMIT_MS, what: 'a full line' });
    const before = reader.seqs.at(-1) ?? 0;
    publish(feed, KEPT + 1, 5 * KEPT);
    stream.beat(1);
    assert.equal(reader.seqs.at(-1), before);
    assert.ok(reader.writableLength < 1 << 20, `${reader.writableLength} bytes wait`);
    reader.goOn();
    await untilLast(reader, 5 * KEPT);
    const lost = reader.of('lost').reduce((sum, { lines }) => sum + Number(lines[0]), 0);
    assert.equal(lost, 4 * KEPT - before);
    assert.equal(reader.seqs.length + lost, 5 * KEPT);
    stream.close();
  });

  test('tells the state again where it has changed', async () => {
    const feed = new EventFeed(KEPT);
    let rules = 1;
    const { reader, stream } = open(feed, 0, () => `{"rules":${rules}}`);
    await until(() => reader.of('state').length === 1, { limitMs: LIMIT_MS, what: 'the state' });
    stream.beat(1);
    assert.equal(reader.of('state').length, 1);
    rules = 2;
    stream.beat(2);
    assert.deepEqual(
      reader.of('state').map(({ lines }) => lines[0]),
      ['{"rules":1}', '{"rules":2}'],
    );
    stream.close();
  });
});
