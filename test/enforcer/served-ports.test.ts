import assert from 'node:assert/strict';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { connect, createServer } from 'node:net';
import { test } from 'node:test';
import { servedHere } from '../../src/enforcer/served-ports.ts';
import { Protocol } from '../../src/flow/protocol.ts';

const HERE = '127.0.0.1';
const ELSEWHERE = '127.0.0.2';

test('servedHere finds the TCP ports that are listened on, at their addresses, and no others', async () => {
  const server = createServer().listen(0, HERE);
  await once(server, 'listening');
  const port = portOf(server.address());
  const client = connect(port, HERE);
  await once(client, 'connect');
  assert.deepEqual(
    [HERE, ELSEWHERE].map((address) => servedHere()(Protocol.tcp, address, port)),
    [true, false],
  );
  assert.equal(servedHere()(Protocol.tcp, HERE, portOf(client.address())), false);
  assert.equal(servedHere()(Protocol.udp, HERE, port), false);
  client.destroy();
  server.close();
  await once(server, 'close');
  assert.equal(servedHere()(Protocol.tcp, HERE, port), false);
});

test('servedHere finds UDP ports that take from anybody, at any address, but not those of a client', async () => {
  const server = createSocket('udp4').bind(0);
  await once(server, 'listening');
  const client = createSocket('udp4');
  client.connect(server.address().port, HERE);
  await once(client, 'connect');
  const isServed = servedHere();
  assert.equal(isServed(Protocol.udp, ELSEWHERE, server.address().port), true);
  assert.equal(isServed(Protocol.udp, HERE, client.address().port), false);
  client.close();
  server.close();
});

function portOf(address: string | object | null): number {
  assert.ok(typeof address === 'object' && address && 'port' in address && typeof address.port === 'number');
  return address.port;
}
