import assert from 'node:assert/strict';
import { connect, createServer, type Socket } from 'node:net';
import { describe, type TestContext, test } from 'node:test';
import { TakenError, UsageError } from '../../src/errors.ts';
import { type ListenPlace, MetricsServer, type ServerLimits } from '../../src/metrics/server.ts';
import { until } from '../lab/wait.ts';

const LOOPBACK: ListenPlace = { host: '127.0.0.1', port: 0, isLoopback: true };
const TEXT = 'l7egg_test 1\n';
const LIMIT_MS = 5_000;
/** More than sockets keep of what nobody reads. */
const LARGE = Buffer.alloc(32 << 20, 'x');

async function serve(
  context: TestContext,
  place: ListenPlace = LOOPBACK,
  text: Uint8Array = Buffer.from(TEXT),
  limits?: ServerLimits,
): Promise<number> {
  const server = await MetricsServer.listen(place, limits);
  context.after(() => server.close());
  server.show({ contentType: 'text/plain; version=0.0.4', write: async () => text });
  return Number(new URL(server.url).port);
}

/** Sends `request` as it is, and resolves with all that comes back until the other end closes. */
function exchange(port: number, request: string, host = '127.0.0.1'): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, host, () => socket.write(request));
    let answer = '';
    socket.setEncoding('latin1').on('data', (text) => {
      answer += text;
    });
    socket.once('error', reject).once('close', () => resolve(answer));
  });
}

function get(host: string, path = '/metrics', method = 'GET'): string {
  return `${method} ${path} HTTP/1.1\r\nHost: ${host}\r\n\r\n`;
}

function statusOf(answer: string): number {
  return Number(/^HTTP\/1\.1 (\d{3})/u.exec(answer)?.[1]);
}

/** Asks for the page and reads none of it. */
async function getStuck(context: TestContext, port: number): Promise<Socket> {
  const socket = connect(port, '127.0.0.1');
  context.after(() => socket.destroy());
  await new Promise<void>((resolve) => socket.once('connect', resolve));
  socket.pause();
  socket.on('error', () => {}); // it is cut off
  socket.write(get('localhost'));
  return socket;
}

describe('MetricsServer answers', () => {
  const rows: readonly (readonly [what: string, request: string, status: number, body: RegExp])[] = [
    ['the page', get('127.0.0.1'), 200, /^l7egg_test 1\n$/u],
    ['the page with a query', get('127.0.0.1', '/metrics?a=b'), 200, /^l7egg_test 1\n$/u],
    ['the head of the page', get('127.0.0.1', '/metrics', 'HEAD'), 200, /^$/u],
    ['where the page is', get('127.0.0.1', '/'), 200, /\/metrics\n$/u],
    ['no other path', get('127.0.0.1', '/metrics/'), 404, /Only \/metrics/u],
    ['no path that leads up', get('127.0.0.1', '/../etc/passwd'), 404, /Only \/metrics/u],
    ['no POST', get('127.0.0.1', '/metrics', 'POST'), 405, /Only GET/u],
    ['no DELETE', get('127.0.0.1', '/metrics', 'DELETE'), 405, /Only GET/u],
    ['no OPTIONS', get('127.0.0.1', '/metrics', 'OPTIONS'), 405, /Only GET/u],
    ['no request without Host', 'GET /metrics HTTP/1.1\r\n\r\n', 400, /^(?:0\r\n\r\n)?$/u],
    ['no old request without Host', 'GET /metrics HTTP/1.0\r\n\r\n', 403, /loopback/u],
    ['no garbage', 'hello\r\n\r\n', 400, /^$/u],
    ['no long header', `GET /metrics HTTP/1.1\r\nA: ${'a'.repeat(9_000)}\r\n\r\n`, 431, /^$/u],
  ];
  for (const [what, request, status, body] of rows) {
    test(what, async (context) => {
      const answer = await exchange(await serve(context), request);
      assert.equal(statusOf(answer), status);
      assert.match(answer.slice(answer.indexOf('\r\n\r\n') + 4), body);
    });
  }

  test('each connection once', async (context) => {
    const answer = await exchange(await serve(context), get('localhost') + get('localhost'));
    assert.equal(answer.match(/HTTP\/1\.1 /gu)?.length, 1);
    assert.match(answer, /^Connection: close\r$/mu);
  });

  test('that there is nothing yet', async (context) => {
    const server = await MetricsServer.listen(LOOPBACK);
    context.after(() => server.close());
    assert.equal(statusOf(await exchange(Number(new URL(server.url).port), get('localhost'))), 503);
  });

  test('what can not be counted', async (context) => {
    const server = await MetricsServer.listen(LOOPBACK);
    context.after(() => server.close());
    server.show({ contentType: 'text/plain', write: () => Promise.reject(new Error('gone')) });
    const answer = await exchange(Number(new URL(server.url).port), get('localhost'));
    assert.equal(statusOf(answer), 500);
    assert.match(answer, /Cannot count: gone\n$/u);
  });
});

describe('MetricsServer on loopback looks at Host', () => {
  const legal = ['localhost', 'LocalHost:9090', '127.0.0.1', '127.1.2.3:80', '[::1]', '[::1]:9090'];
  const others = [
    'evil.example',
    'localhost.evil.example',
    '127.0.0.1.evil.example',
    'evil.example:9090',
    '192.0.2.2',
    '[::2]',
    '0x7f000001',
    '127.0.0.1@evil.example',
    'localhost:',
  ];
  for (const host of legal)
    test(`"${host}" is answered`, async (context) =>
      assert.equal(statusOf(await exchange(await serve(context), get(host))), 200));
  for (const host of others)
    test(`"${host}" is not`, async (context) => {
      const answer = await exchange(await serve(context), get(host));
      assert.equal(statusOf(answer), 403);
      assert.ok(!answer.includes('l7egg_test'));
    });

  test('and elsewhere it does not', async (context) => {
    const port = await serve(context, { ...LOOPBACK, isLoopback: false });
    assert.equal(statusOf(await exchange(port, get('prometheus-target.example:9090'))), 200);
  });
});

describe('MetricsServer is not held up', () => {
  test('by those who do not read', async (context) => {
    const limits = { connections: 8, askingMs: 5_000, connectionMs: 60_000 };
    const port = await serve(context, LOOPBACK, LARGE, limits);
    for (let stuck = 0; stuck < 7; stuck++) await getStuck(context, port);
    const answer = await exchange(port, get('localhost'));
    assert.ok(answer.length > LARGE.length);
  });

  test('and cuts them off', async (context) => {
    const limits = { connections: 8, askingMs: 5_000, connectionMs: 200 };
    const port = await serve(context, LOOPBACK, LARGE, limits);
    const stuck = await getStuck(context, port);
    await until(
      () => {
        stuck.write('x'); // a paused socket learns of its end when it writes
        return stuck.destroyed;
      },
      { limitMs: LIMIT_MS, what: 'the end of the connection' },
    );
  });

  test('nor by those who never ask, nor by too many', async (context) => {
    const limits = { connections: 4, askingMs: 200, connectionMs: 60_000 };
    const port = await serve(context, LOOPBACK, Buffer.from(TEXT), limits);
    const silent = Array.from({ length: 4 }, () => connect(port, '127.0.0.1'));
    context.after(() => silent.forEach((socket) => void socket.destroy()));
    for (const socket of silent) socket.on('error', () => {}).resume();
    const answer = await until(
      async () => (await exchange(port, get('localhost')).catch(() => '')) || false,
      {
        limitMs: LIMIT_MS,
        what: 'room for one who asks',
      },
    );
    assert.equal(statusOf(answer), 200);
    // One that is closed makes room; that they all are reaches their ends a moment later.
    await until(() => silent.every(({ closed }) => closed), {
      limitMs: LIMIT_MS,
      what: 'the ends of the silent',
    });
  });
});

describe('MetricsServer.listen', () => {
  test('says that the port is taken', async (context) => {
    const other = createServer().listen(0, '127.0.0.1');
    context.after(() => other.close());
    await new Promise((resolve) => other.once('listening', resolve));
    const address = other.address();
    assert.ok(address !== null && typeof address === 'object');
    await assert.rejects(MetricsServer.listen({ ...LOOPBACK, port: address.port }), (thrown: unknown) => {
      assert.ok(thrown instanceof TakenError);
      assert.match(
        thrown.message,
        new RegExp(`^Cannot listen at "http://127\\.0\\.0\\.1:${address.port}/metrics"`, 'u'),
      );
      return true;
    });
  });

  test('says that the address is not of this host', async () => {
    const place = { host: '192.0.2.1', port: 0, isLoopback: false };
    await assert.rejects(MetricsServer.listen(place), (thrown: unknown) => {
      assert.ok(thrown instanceof UsageError);
      assert.match(thrown.message, /"http:\/\/192\.0\.2\.1:0\/metrics".*its own is legal/u);
      return true;
    });
  });

  test('is reached at its own address only', async (context) => {
    const port = await serve(context);
    await assert.rejects(exchange(port, get('localhost'), '127.0.0.2'), { code: 'ECONNREFUSED' });
    assert.equal(statusOf(await exchange(port, get('localhost'), '127.0.0.1')), 200);
  });

  test('on IPv6', async (context) => {
    const port = await serve(context, { host: '::1', port: 0, isLoopback: true });
    assert.equal(statusOf(await exchange(port, get(`[::1]:${port}`), '::1')), 200);
  });
});
