import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect, createServer } from 'node:net';
import { test } from 'node:test';
import { destroyTcpSocket } from '../../src/netlink/sock-diag.ts';
import { parseAddress } from '../../src/policy/prefix.ts';

for (const host of ['127.0.0.1', '::1']) {
  test(`destroyTcpSocket of ${host}: ends that connection, and never the server of its port`, async (context) => {
    const server = createServer((socket) => socket.on('error', () => {})).listen(0, host);
    context.after(() => server.close());
    await once(server, 'listening');
    const bound = server.address();
    assert.ok(bound !== null && typeof bound === 'object');
    const { port } = bound;
    const address = parseAddress(host);
    const ends = { local: address, remote: address };
    assert.equal(destroyTcpSocket({ ...ends, localPort: port, remotePort: 1 }), false);
    for (let round = 0; round < 2; round++) {
      const socket = connect({ host, port });
      await once(socket, 'connect');
      const ended = once(socket, 'error');
      const { localPort = 0 } = socket;
      assert.equal(destroyTcpSocket({ ...ends, localPort, remotePort: port }), true);
      const [failure] = await ended;
      assert.match(failure.code, /ECONNABORTED|ECONNRESET/u);
      assert.equal(destroyTcpSocket({ ...ends, localPort, remotePort: port }), false, 'it is gone');
      assert.equal(destroyTcpSocket({ ...ends, localPort: port, remotePort: localPort }), false);
    }
  });
}
