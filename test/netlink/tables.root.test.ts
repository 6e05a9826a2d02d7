/* One network namespace with sockets of this process on lo, and a veth pair that leads nowhere. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { type AddressInfo, connect, createServer, type Server } from 'node:net';
import { after, test } from 'node:test';
import { listAddresses } from '../../src/netlink/addresses.ts';
import { listConntrack } from '../../src/netlink/conntrack.ts';
import { listLinks } from '../../src/netlink/links.ts';
import { listDefaultRoutes } from '../../src/netlink/routes.ts';
import { listTcpSockets, listUdpSockets, TcpState } from '../../src/netlink/sock-diag.ts';
import { enterScratchNetns, ip } from './namespace.ts';

const LOCALHOST4 = Buffer.from('00000000000000000000ffff7f000001', 'hex');
const LOCALHOST6 = Buffer.from('00000000000000000000000000000001', 'hex');

enterScratchNetns();
ip('link add way7 type veth peer name way8');
ip('link set way7 up');
ip('link set way8 up');

async function listen(host: string): Promise<{ server: Server; port: number }> {
  const server = createServer();
  after(() => server.close());
  await new Promise<void>((resolve) => server.listen(0, host, resolve));
  const address: AddressInfo | string | null = server.address();
  assert.ok(address !== null && typeof address === 'object');
  return { server, port: address.port };
}

test('listAddresses tells addresses of both families with their interface', async () => {
  ip('address add 192.0.2.1/24 dev way7');
  ip('address add 2001:db8::1/64 dev way7 nodad');
  const way7 = (await listLinks()).find((link) => link.name === 'way7');
  const addresses = await listAddresses();
  const find = (hex: string) => addresses.find((entry) => entry.address.toString('hex') === hex);
  assert.deepEqual(find('00000000000000000000ffffc0000201'), {
    ifindex: way7?.ifindex,
    family: 4,
    address: Buffer.from('00000000000000000000ffffc0000201', 'hex'),
    prefixLength: 24,
  });
  assert.equal(find('20010db8000000000000000000000001')?.prefixLength, 64);
  assert.equal(find('00000000000000000000ffff7f000001')?.ifindex, 1);
});

test('listAddresses tells the near end of a point-to-point address', async () => {
  ip('address add 198.51.100.1 peer 198.51.100.2/32 dev way8');
  const hex = (await listAddresses()).map((entry) => entry.address.toString('hex'));
  assert.ok(hex.includes('00000000000000000000ffffc6336401'));
  assert.ok(!hex.includes('00000000000000000000ffffc6336402'));
});

test('listDefaultRoutes is empty without one, then tells them by metric', async () => {
  const ifindexOf = async (name: string) => (await listLinks()).find((link) => link.name === name)?.ifindex;
  const [way7, way8] = [await ifindexOf('way7'), await ifindexOf('way8')];
  const v4 = async () => (await listDefaultRoutes()).filter((route) => route.family === 4);
  assert.deepEqual(await v4(), []);
  ip('route add default dev way7 metric 20');
  ip('route add default dev way8 metric 10');
  ip('route add default dev lo table 77');
  ip('-6 route add default dev way7 metric 30');
  assert.deepEqual(await v4(), [
    { family: 4, ifindex: way8, metric: 10 },
    { family: 4, ifindex: way7, metric: 20 },
  ]);
  const v6 = (await listDefaultRoutes()).filter((route) => route.family === 6);
  assert.deepEqual(v6, [{ family: 6, ifindex: way7, metric: 30 }]);
});

test('listDefaultRoutes tells each next hop of a multipath route', async () => {
  ip('route add default metric 5 nexthop dev way7 nexthop dev way8');
  const hops = (await listDefaultRoutes()).filter((route) => route.metric === 5);
  assert.equal(new Set(hops.map((hop) => hop.ifindex)).size, 2);
  ip('route delete default metric 5');
});

for (const [host, family, localhost] of [
  ['127.0.0.1', 4, LOCALHOST4],
  ['::1', 6, LOCALHOST6],
] as const) {
  test(`listTcpSockets tells a listener and both ends of a connection to ${host}`, async () => {
    const { server, port } = await listen(host);
    const accepted = new Promise<void>((resolve) => server.once('connection', () => resolve()));
    const client = connect(port, host);
    after(() => client.destroy());
    await Promise.all([accepted, new Promise<void>((resolve) => client.once('connect', resolve))]);
    const sockets = await listTcpSockets();
    const listener = sockets.find((entry) => entry.state === TcpState.listen && entry.localPort === port);
    assert.deepEqual(listener?.local, localhost);
    assert.equal(listener?.family, family);
    assert.ok(listener !== undefined && listener.inode > 0);
    const near = sockets.find((entry) => entry.localPort === client.localPort);
    const { inode, ...rest } = near ?? { inode: 0 };
    assert.ok(inode > 0);
    assert.deepEqual(rest, {
      family,
      state: TcpState.established,
      local: localhost,
      localPort: client.localPort,
      remote: localhost,
      remotePort: port,
      ifindex: 0,
      uid: 0,
    });
    const far = sockets.find((entry) => entry.remotePort === client.localPort);
    assert.equal(far?.localPort, port);
  });
}

test('listUdpSockets tells a bound socket and a connected one', async () => {
  const bound = createSocket('udp4');
  after(() => bound.close());
  await new Promise<void>((resolve) => bound.bind(0, '127.0.0.1', resolve));
  const connected = createSocket('udp4');
  after(() => connected.close());
  await new Promise<void>((resolve) => connected.connect(bound.address().port, '127.0.0.1', resolve));
  const sockets = await listUdpSockets();
  const first = sockets.find((entry) => entry.localPort === bound.address().port);
  assert.deepEqual(first?.local, LOCALHOST4);
  assert.equal(first?.state, TcpState.closed);
  const second = sockets.find((entry) => entry.remotePort === bound.address().port);
  assert.equal(second?.state, TcpState.established);
});

test('listConntrack is empty until the kernel tracks, then tells both directions', async () => {
  assert.deepEqual(await listConntrack(), []);
  const rules = 'table inet t { chain c { type filter hook output priority 0; ct state new accept\n}\n}';
  execFileSync('nft', ['-f', '-'], { input: rules });
  const { server, port } = await listen('127.0.0.1');
  const accepted = new Promise<void>((resolve) => server.once('connection', () => resolve()));
  const client = connect(port, '127.0.0.1');
  after(() => client.destroy());
  await accepted;
  const tracked = (await listConntrack()).find((entry) => entry.original.destinationPort === port);
  const clientEnd = { source: LOCALHOST4, sourcePort: client.localPort };
  const serverEnd = { source: LOCALHOST4, sourcePort: port };
  assert.deepEqual(tracked, {
    l4Proto: 6,
    original: { ...clientEnd, destination: LOCALHOST4, destinationPort: port },
    reply: { ...serverEnd, destination: LOCALHOST4, destinationPort: client.localPort },
  });
});
