import assert from 'node:assert/strict';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { test } from 'node:test';
import { connectUdp, type UdpEvent } from '../../src/libbpf/udp-socket.ts';
import { parseAddress } from '../../src/policy/prefix.ts';

const LOOPBACK = parseAddress('127.0.0.1');

/** A socket to `port` of loopback, and its events as they come. */
function connect(port: number) {
  const waiting: ((event: UdpEvent) => void)[] = [];
  const socket = connectUdp({ addr16: LOOPBACK, port }, (event) => waiting.shift()?.(event));
  const next = () => new Promise<UdpEvent>((resolve) => waiting.push(resolve));
  return { socket, next, [Symbol.dispose]: () => socket.close() };
}

test('UdpSocket sends and receives, from the local end that it tells', async (t) => {
  const server = createSocket('udp4').bind(0, '127.0.0.1');
  t.after(() => server.close());
  await once(server, 'listening');
  using client = connect(server.address().port);
  const answer = client.next();
  client.socket.send(Buffer.from('question'));
  const [bytes, from] = await once(server, 'message');
  assert.equal(bytes.toString(), 'question');
  assert.equal(from.port, client.socket.local.port);
  assert.deepEqual(Buffer.from(client.socket.local.addr16), Buffer.from(LOOPBACK));
  server.send('answer', from.port, from.address);
  assert.deepEqual(await answer, { kind: 'datagram', bytes: Buffer.from('answer') });
});

test('UdpSocket takes nothing from another end', async (t) => {
  const [server, stranger] = [createSocket('udp4'), createSocket('udp4')];
  t.after(() => [server, stranger].map((socket) => socket.close()));
  server.bind(0, '127.0.0.1');
  await once(server, 'listening');
  using client = connect(server.address().port);
  const answer = client.next();
  const { port } = client.socket.local;
  await new Promise((sent) => stranger.send('forged', port, '127.0.0.1', sent));
  server.send('answer', port, '127.0.0.1');
  assert.deepEqual(await answer, { kind: 'datagram', bytes: Buffer.from('answer') });
});

test('UdpSocket tells when nobody serves the port', async () => {
  const server = createSocket('udp4').bind(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address();
  server.close();
  await once(server, 'close');
  using client = connect(port);
  const told = client.next();
  client.socket.send(Buffer.from('question'));
  assert.deepEqual(await told, { kind: 'failed', errno: 'ECONNREFUSED' });
});

test('connectUdp throws ENODEV for an interface that is not there', () => {
  const remote = { addr16: parseAddress('fe80::1'), port: 53, scope: 'nowhere0' };
  assert.throws(() => connectUdp(remote, () => {}), { code: 'ENODEV', message: /"nowhere0"/ });
});
