import assert from 'node:assert/strict';
import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { after, before, describe, test } from 'node:test';
import { decode, encode } from 'dns-packet';
import { findReverseNames } from '../../src/cli/reverse-names.ts';

const KNOWN = '7.100.51.198.in-addr.arpa';

describe('findReverseNames', () => {
  let server: Socket;
  let asked = 0;
  before(async () => {
    server = createSocket('udp4');
    // Answers one question, and leaves all others to whoever waits for them.
    server.on('message', (query, peer) => {
      asked += 1;
      const { id = 0, questions = [] } = decode(query);
      const [question] = questions;
      if (question?.name !== KNOWN) return;
      const answers = [{ type: 'PTR' as const, name: KNOWN, data: 'host.isp.example' }];
      server.send(encode({ type: 'response', id, questions, answers }), peer.port, peer.address);
    });
    server.bind(0, '127.0.0.1');
    await once(server, 'listening');
  });
  after(() => server.close());

  test('finds what is answered, and waits two seconds for the rest in all', async () => {
    const addresses = ['198.51.100.7', ...Array.from({ length: 40 }, (_, index) => `203.0.113.${index}`)];
    const began = performance.now();
    const names = await findReverseNames(addresses, [`127.0.0.1:${server.address().port}`]);
    assert.deepEqual([...names], [['198.51.100.7', 'host.isp.example']]);
    assert.ok(performance.now() - began < 3_500, `${performance.now() - began} ms`);
  });
  test('asks nobody where there is nothing to ask, or nobody', async () => {
    asked = 0;
    assert.equal((await findReverseNames([], [`127.0.0.1:${server.address().port}`])).size, 0);
    assert.equal((await findReverseNames(['198.51.100.7'], [])).size, 0);
    assert.equal(asked, 0);
  });
  test('takes a resolver that it can not ask for none', async () => {
    assert.equal((await findReverseNames(['198.51.100.7'], ['nobody'])).size, 0);
  });
});
