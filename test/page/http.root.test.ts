/*
 * The server of the page, in a real enforcer: whom it answers, whom it refuses, and what a reader costs that does not
 * read. The lab is that of robust-lab.ts.
 */
import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { after, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { RUN_ROOT } from '../../src/enforcer/run-dir.ts';
import { findCli } from '../lab/checkout.ts';
import type { Namespace } from '../lab/namespace.ts';
import type { Lab } from '../lab/topology.ts';
import { until } from '../lab/wait.ts';
import type { RunningEnforcer } from '../netns/enforcer.ts';
import { createRobustLab, FLAGS, filesOf, isOpen, l7egg, newInstance } from '../netns/robust-lab.ts';
import { causeEvents } from '../netns/robust-unread.ts';
import { servePage } from './page-lab.ts';

const LIMIT_MS = 15_000;
const FILLING = 20_000;
const FLOOD = 40_000;
/** Addresses that begin so have had no event yet. */
const LAST = '203.0.113.2';
const TOLD = /^events (\d+) lost (\d+) of (\d+)$/;
const STUCK = 8;
/** Queued for each of them, these would take 140 MB; the heap by itself goes up and down by 20. */
const MAX_GROWTH_KB = 64 << 10;

let lab: Lab;
let host: Namespace;

before(async () => {
  lab = await createRobustLab();
  host = lab.host;
});
after(() => lab.close());

/** Status and headers, in lower case, of what curl was answered. */
async function ask(
  port: number,
  path: string,
  ...args: readonly string[]
): Promise<{ status: number; text: string }> {
  const words = ['-s', '-i', '-m', '1', ...args, `http://127.0.0.1:${port}${path}`];
  const { stdout } = await host.runAsync('curl', words);
  return { status: Number(/^HTTP\/1\.1 (\d+)/.exec(stdout)?.[1]), text: stdout };
}

const bearer = (token: string) => ['-H', `Authorization: Bearer ${token}`];

describe('the server of the page', () => {
  test('answers pages of ours, and refuses what a foreign one or a rebound name asks', async (context) => {
    const { port, token, origin } = await servePage(context, host);
    const rows: readonly (readonly [status: number, path: string, ...args: string[]])[] = [
      [200, '/'],
      [200, `/?token=${token}`],
      [200, '/page.js'],
      [200, '/page.css'],
      [200, '/events', ...bearer(token)],
      [200, '/events', ...bearer(token), '-H', `Origin: ${origin}`],
      [200, '/events', ...bearer(token), '-H', `Host: localhost:${port}`],
      [200, '/', '-I'],
      [401, '/events'],
      [401, '/events', ...bearer(`${token.slice(1)}A`)],
      [401, `/events?token=${token}`],
      [403, '/?token=wrong'],
      [403, '/events?token=wrong', ...bearer(token)],
      [421, '/events', ...bearer(token), '-H', `Host: rebound.example:${port}`],
      [421, '/', '-H', 'Host: rebound.example'],
      [403, '/events', ...bearer(token), '-H', 'Origin: http://evil.example'],
      [403, '/', '-H', 'Origin: null'],
      [405, '/events', ...bearer(token), '-X', 'POST', '-d', 'x'],
      [405, '/', '-X', 'DELETE'],
      [405, '/', '-X', 'OPTIONS', '-H', `Origin: ${origin}`],
      [404, '/../errors.cjs', '--path-as-is'],
      [404, '//evil.example/', '--path-as-is'],
      [404, '/state'],
      [431, '/', '-H', `X: ${'x'.repeat(10_000)}`],
    ];
    for (const [status, path, ...args] of rows) {
      assert.equal((await ask(port, path, ...args)).status, status, [path, ...args].join(' ').slice(0, 200));
    }
    await host.runAsync('sh', [
      '-c',
      `printf 'GET http://[ HTTP/1.1\\r\\nHost: x\\r\\n\\r\\n' | nc -w 1 127.0.0.1 ${port}`,
    ]);
    assert.equal((await ask(port, '/')).status, 200);
  });

  test('lets nothing be framed, kept, told on, or read by another origin', async (context) => {
    const { port, token } = await servePage(context, host);
    for (const [path, ...args] of [
      ['/'],
      ['/page.js'],
      ['/events', ...bearer(token)],
      ['/events'],
    ] as const) {
      const { text } = await ask(port, path, ...args);
      assert.match(
        text,
        /^Content-Security-Policy: default-src 'none'; script-src 'self'; style-src 'self';/m,
      );
      for (const line of [
        'X-Frame-Options: DENY',
        'X-Content-Type-Options: nosniff',
        'Referrer-Policy: no-referrer',
        'Cache-Control: no-store',
      ])
        assert.ok(text.includes(line), `${path}: ${line}`);
      assert.doesNotMatch(text, /^access-control-/im);
      assert.equal(text.includes(token), false);
    }
  });

  test('says its token on stderr once, and nowhere else', async (context) => {
    const { enforcer, token } = await servePage(context, host);
    assert.equal(enforcer.remarks().filter((line) => line.includes(token)).length, 1);
    assert.equal(
      enforcer.process.lines.filter(({ stream, text }) => stream === 'stdout' && text.includes(token)).length,
      0,
    );
    const files = filesOf(enforcer.instance).filter((path) => path.startsWith(RUN_ROOT));
    const readable = files.filter(
      (path) => !path.endsWith('.sock') && path !== `${RUN_ROOT}/${enforcer.instance}`,
    );
    for (const path of readable) assert.equal(readFileSync(path, 'utf8').includes(token), false, path);
    await enforcer.stop();
    const { token: next } = await servePage(context, host);
    assert.notEqual(next, token);
  });

  test('leaves room for pages where all readers are there, and goes on when they have left', async (context) => {
    const { port, token } = await servePage(context, host);
    const readers = Array.from({ length: 16 }, () =>
      host.spawn('curl', ['-sN', ...bearer(token), `http://127.0.0.1:${port}/events`]),
    );
    await Promise.all(readers.map((reader) => reader.waitForLine(/^event: events/, LIMIT_MS)));
    assert.equal((await ask(port, '/events', ...bearer(token))).status, 503);
    assert.equal((await ask(port, '/')).status, 200);
    await Promise.all(readers.map((reader) => reader.stop()));
    await until(async () => (await ask(port, '/events', ...bearer(token))).status === 200, {
      limitMs: LIMIT_MS,
      what: 'a place for a reader',
    });
  });

  test('a stuck reader costs no memory and holds up nobody; it is told how much it lost', async (context) => {
    const { enforcer, port, token } = await servePage(context, host);
    const { pid } = enforcer.process;
    const residentKb = () =>
      Number(/^RssAnon:\s+(\d+) kB/mu.exec(readFileSync(`/proc/${pid}/status`, 'latin1'))?.[1]);
    // So that the ring and the collector have found their sizes.
    await causeEvents(host, 0, FILLING);
    const path = fileURLToPath(new URL('stuck-reader.js', import.meta.url));
    const words = [path, `${port}`, token, LAST];
    const stuck = await Promise.all(
      Array.from({ length: STUCK }, async () => {
        const reader = host.spawn(process.execPath, words);
        await reader.waitForLine(/^stuck$/, LIMIT_MS);
        return reader;
      }),
    );
    const beforeKb = residentKb();
    await causeEvents(host, FILLING, FLOOD);
    const grownKb = residentKb() - beforeKb;
    context.diagnostic(`${STUCK} stuck readers of ${FLOOD} events: ${grownKb} kB`);
    assert.ok(grownKb < MAX_GROWTH_KB, `${stuck.length} stuck readers of ${FLOOD} events took ${grownKb} kB`);
    await causeLast(enforcer);
    for (const reader of stuck) {
      reader.kill('SIGUSR2');
      const { text } = await reader.waitForLine(TOLD, LIMIT_MS);
      const [, events = 0, lost = 0, last = 0] = (TOLD.exec(text) ?? []).map(Number);
      assert.ok(lost > 1_000 && events > 10_000, text);
      assert.equal(events + lost, last, text);
    }
  });
});

/* The kernel's ring may still be full: an event of one of these finds room. */
async function causeLast(enforcer: RunningEnforcer): Promise<void> {
  let tried = 0;
  await until(
    async () => {
      assert.equal(await isOpen(host, `${LAST}${String(tried++ % 50).padStart(2, '0')}`), false);
      return enforcer.events().some(({ dst }) => dst?.startsWith(LAST));
    },
    { limitMs: LIMIT_MS, what: 'an event after the flood' },
  );
}

describe('-ui', () => {
  test('that is taken is said before anything is put in force', async (context) => {
    const { port } = await servePage(context, host);
    const instance = newInstance();
    const done = await l7egg(host, ...FLAGS, `-instance=${instance}`, `-ui=127.0.0.1:${port}`);
    assert.equal(done.code, 1, done.stderr);
    assert.match(done.stderr, new RegExp(`127\\.0\\.0\\.1:${port}: another process has that port`));
    assert.doesNotMatch(done.stderr, /enforcing/);
    assert.equal(existsSync(`${RUN_ROOT}/${instance}`), false);
  });

  test('on another address than loopback is refused', async () => {
    const done = await l7egg(host, ...FLAGS, `-instance=${newInstance()}`, '-ui=0.0.0.0:8080');
    assert.equal(done.code, 2);
    assert.match(done.stderr, /ssh -L/);
  });

  test('is served where the command is given, whatever network namespace it controls', async (context) => {
    const elsewhere = lab.join('admin', [{ v4: '192.0.2.9', v6: '2001:db8:1::9' }]);
    const instance = newInstance();
    context.after(() => l7egg(host, 'clean', `-instance=${instance}`));
    const enforcer = elsewhere.spawn(findCli(), [
      ...FLAGS,
      `-netns=${host.path}`,
      `-instance=${instance}`,
      '-resolver=192.0.2.53',
      '-ui=[::1]:0',
    ]);
    const { text } = await enforcer.waitForLine(/^the page is at http:\/\/\[::1\]:\d+\//, LIMIT_MS);
    await enforcer.waitForLine(/^enforcing/, LIMIT_MS);
    const [, origin = ''] = /(http:\/\/[^/]+)/.exec(text) ?? [];
    const status = (place: Namespace) =>
      place.runAsync('curl', ['-sg', '-o', '/dev/null', '-w', '%{http_code}', `${origin}/`]);
    assert.equal((await status(elsewhere)).stdout, '200');
    assert.equal((await status(host)).stdout, '000');
    assert.equal(await isOpen(host), false);
    await enforcer.stop();
    assert.equal((await status(elsewhere)).stdout, '000');
  });
});
