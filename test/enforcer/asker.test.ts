import assert from 'node:assert/strict';
import { createSocket, type RemoteInfo, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { after, before, beforeEach, describe, test } from 'node:test';
import packet from 'dns-packet';
import { RecordType } from '../../src/dns/record-type.ts';
import { parseResolver, type Resolver } from '../../src/dns/resolver.ts';
import { Asker } from '../../src/enforcer/asker.ts';
import { Protocol } from '../../src/flow/protocol.ts';

const ADDRESS = '198.51.100.1';

/** The answer to a query, with one address; `id` is that of the query unless told otherwise. */
function answerTo(query: Buffer, id = query.readUInt16BE()): Buffer {
  const { questions } = packet.decode(query);
  const [{ name } = { name: '' }] = questions ?? [];
  return packet.encode({
    type: 'response',
    id,
    ...(questions && { questions }),
    answers: [{ type: 'A', name, ttl: 60, data: ADDRESS }],
  });
}

describe('Asker', () => {
  let server: Socket;
  let resolver: Resolver;
  /** What the server answers to the n-th datagram, from 0. */
  let reply: (query: Buffer, n: number) => readonly Buffer[];
  const clients: RemoteInfo[] = [];

  before(async () => {
    server = createSocket('udp4');
    server.on('message', (query, client) => {
      clients.push(client);
      for (const bytes of reply(query, clients.length - 1)) server.send(bytes, client.port, client.address);
    });
    server.bind(0, '127.0.0.1');
    await once(server, 'listening');
    resolver = parseResolver(`127.0.0.1:${server.address().port}`);
  });
  after(() => server.close());
  beforeEach(() => {
    clients.length = 0;
    reply = (query) => [answerTo(query)];
  });

  test('gets the addresses of a name', async () => {
    using asker = new Asker();
    const answer = await asker.ask(resolver, 'www.example.com', RecordType.a);
    assert.equal(answer?.status, 'learned');
    assert.equal(clients.length, 1);
  });

  test('sends a question again whose datagram was lost', async () => {
    reply = (query, n) => (n === 0 ? [] : [answerTo(query)]);
    using asker = new Asker();
    const answer = await asker.ask(resolver, 'www.example.com', RecordType.a);
    assert.equal(answer?.status, 'learned');
    assert.equal(clients.length, 2);
    assert.equal(clients[0]?.port, clients[1]?.port);
  });

  test('gives up when nothing answers', async () => {
    reply = () => [];
    using asker = new Asker();
    assert.equal(await asker.ask(resolver, 'www.example.com', RecordType.a), undefined);
    assert.equal(clients.length, 4);
  });

  test('passes over answers with another id', async () => {
    reply = (query) => [answerTo(query, query.readUInt16BE() ^ 1), Buffer.from([1]), answerTo(query)];
    using asker = new Asker();
    assert.equal((await asker.ask(resolver, 'www.example.com', RecordType.a))?.status, 'learned');
  });

  test('knows its own question, and no other of the same port', async () => {
    using asker = new Asker();
    await asker.ask(resolver, 'www.example.com', RecordType.a);
    const own = { l4Proto: Protocol.udp, localPort: clients[0]?.port ?? 0, qtype: RecordType.a };
    assert.equal(asker.isOwn({ ...own, qname: 'www.example.com' }), true);
    assert.equal(asker.isOwn({ ...own, qtype: 0 }), true, 'an event that could not read the question');
    assert.equal(asker.isOwn({ ...own, qname: 'other.example.com' }), false);
    assert.equal(asker.isOwn({ ...own, qname: 'www.example.com', qtype: RecordType.https }), false);
    assert.equal(asker.isOwn({ ...own, qname: 'www.example.com', l4Proto: Protocol.tcp }), false);
    assert.equal(asker.isOwn({ ...own, qname: 'www.example.com', localPort: own.localPort ^ 1 }), false);
  });
});
