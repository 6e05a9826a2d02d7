import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { test } from 'node:test';
import { LineCutter } from '../../src/control/frames.ts';
import { ControlServer, type Handler } from '../../src/control/server.ts';
import { ScratchSocket } from '../containers/scratch-socket.ts';
import { RawClient } from '../control/raw-client.ts';
import { makeRng, type Rng } from '../dns/rng.ts';
import { until } from '../lab/wait.ts';
import { fuzzSettings, residentMiB } from './fuzz-settings.ts';
import { mutateText } from './mutate-text.ts';

const { seed, rounds, progress } = fuzzSettings(1500);
const REQUESTS: readonly [string, ...string[]] = [
  '{"command":"echo"}\n',
  '{"command":"echo","since":"10m","names":["a.test"]}\n',
  '{"command":"nothing"}\n',
  '{"command":7}\n',
  '[]\n',
  '\n',
  'null\n',
  '{"command":"echo"}\n{"command":"echo"}\n',
  `{"command":"echo","text":"${'x'.repeat(3000)}"}\n`,
];
/** More than a request may have. */
const GIANT = 70_000;
/** Clients at a time; the server takes more. */
const AT_ONCE = 16;
const LIMIT_MS = 30_000;
/** Some thousands of clients take the heap to 60 MiB more, and a hundred times as many leave it there. */
const MOST_GROWTH_MIB = 128;

const echo: Handler = (request, answer) => {
  answer.send(`${JSON.stringify(Object.fromEntries(request))}\n`);
  answer.end();
};

const descriptors = () => readdirSync('/proc/self/fd').length;

function drawBytes(rng: Rng): Uint8Array {
  if (rng.oneIn(40)) return Buffer.alloc(GIANT, rng.pick(['x', '{', '\0']));
  if (rng.oneIn(5)) return rng.bytes(rng.below(300));
  const text = rng.pick(REQUESTS);
  return Buffer.from(rng.oneIn(4) ? text : mutateText(rng, text, REQUESTS));
}

/** Sends bytes in pieces, and then a line end if there was none, since half a request is waited for. */
function sendInPieces(rng: Rng, client: RawClient, bytes: Uint8Array): void {
  for (let at = 0; at < bytes.length; ) {
    const piece = bytes.subarray(at, at + 1 + rng.below(rng.pick([3, 50, bytes.length])));
    client.send(Uint8Array.from(piece));
    at += piece.length;
  }
  client.send('\n');
}

/** What it is answered: whole lines, the first of them an object with `ok`; or nothing, when it went away first. */
function checkAnswer(text: string, replay: string): boolean {
  const [first = ''] = text.split('\n');
  const answer: unknown = JSON.parse(first);
  assert.ok(typeof answer === 'object' && answer !== null && 'ok' in answer, replay);
  assert.ok(answer.ok === true || ('error' in answer && typeof answer.error === 'string'), replay);
  assert.ok(text.endsWith('\n'), replay);
  return answer.ok === true;
}

test(`${rounds} clients that send random bytes are answered, and others are served on, seed ${seed}`, async (t) => {
  const rng = makeRng(seed);
  using scratch = new ScratchSocket();
  using server = new ControlServer(scratch.path, new Map([['echo', echo]]));
  const seen = { answered: 0, refused: 0, wentAway: 0, others: 0 };
  await serveOne(scratch.path); // loads what is loaded once
  const [before, beforeMiB] = [descriptors(), residentMiB()];
  for (let round = 0; round < rounds; ) {
    const clients: { client: RawClient; replay: string; leaves: boolean }[] = [];
    for (const end = Math.min(rounds, round + AT_ONCE); round < end; round += 1) {
      const bytes = drawBytes(rng);
      const replay = `L7EGG_SEED=${seed} L7EGG_FUZZ=${Math.max(1000, round + 1)}: ${Buffer.from(bytes).toString('latin1').slice(0, 1000)}`;
      const client = new RawClient(scratch.path);
      const leaves = rng.oneIn(6);
      sendInPieces(rng, client, bytes);
      if (leaves) client.close();
      clients.push({ client, replay, leaves });
      progress(round);
    }
    await serveOne(scratch.path);
    seen.others += 1;
    for (const { client, replay, leaves } of clients) {
      if (leaves) {
        seen.wentAway += 1;
        continue;
      }
      const isTaken = checkAnswer(await client.whole(LIMIT_MS), replay);
      seen[isTaken ? 'answered' : 'refused'] += 1;
      client.close();
    }
  }
  await until(() => descriptors() <= before, { limitMs: LIMIT_MS, what: `${before} descriptors again` });
  const grownMiB = residentMiB() - beforeMiB;
  t.diagnostic(JSON.stringify({ seed, clients: rounds, ...seen, grownMiB }));
  assert.ok(grownMiB < MOST_GROWTH_MIB, `${grownMiB} MiB more`);
  assert.ok(seen.answered > rounds / 10 && seen.refused > rounds / 4, JSON.stringify(seen));
  server.close();
});

async function serveOne(path: string): Promise<void> {
  using client = new RawClient(path).send('{"command":"echo","who":"other"}\n');
  assert.equal(await client.whole(LIMIT_MS), '{"ok":true}\n{"command":"echo","who":"other"}\n\n');
}

test(`LineCutter makes the same lines of a text however it is split, ${rounds} texts, seed ${seed}`, () => {
  const rng = makeRng(seed);
  for (let round = 0; round < rounds; round += 1) {
    const text = mutateText(rng, rng.pick(REQUESTS), REQUESTS);
    const cutter = new LineCutter(GIANT);
    const lines: string[] = [];
    for (let at = 0; at < text.length; ) {
      const piece = text.slice(at, at + 1 + rng.below(40));
      lines.push(...cutter.push(piece));
      at += piece.length;
    }
    assert.deepEqual(lines, text.split('\n').slice(0, -1), JSON.stringify(text));
  }
});
