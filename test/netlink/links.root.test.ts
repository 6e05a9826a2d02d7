/* One network namespace; links are made and deleted in it with ip(8). */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { test } from 'node:test';
import { openNetlinkGroup } from '../../src/libbpf/netlink-group.ts';
import { type LinkEvent, listLinks, watchLinks } from '../../src/netlink/links.ts';
import { enterScratchNetns, ip } from './namespace.ts';

enterScratchNetns();

/** Collects events from before `act` until one satisfies `isLast`. */
async function watchUntil(isLast: (event: LinkEvent) => boolean, act: () => void): Promise<LinkEvent[]> {
  const events: LinkEvent[] = [];
  let finish = () => {};
  const finished = new Promise<void>((resolve) => {
    finish = resolve;
  });
  using _watch = watchLinks((event) => {
    events.push(event);
    if (isLast(event)) finish();
  });
  act();
  await finished;
  return events;
}

const isDeleted = (name: string) => (event: LinkEvent) =>
  event.kind === 'deleted' && event.link.name === name;

test('listLinks tells lo', async () => {
  assert.deepEqual(await listLinks(), [
    { ifindex: 1, name: 'lo', kind: undefined, arphrd: 772, up: true, masterIfindex: undefined, mtu: 65_536 },
  ]);
});

test('listLinks tells kind, master and state', async () => {
  ip('link add br7 type bridge');
  ip('link add veth7 type veth peer name veth8');
  ip('link set veth7 master br7 up');
  const links = new Map((await listLinks()).map((link) => [link.name, link]));
  const bridge = links.get('br7');
  assert.equal(bridge?.kind, 'bridge');
  assert.equal(links.get('veth7')?.kind, 'veth');
  assert.equal(links.get('veth7')?.up, true);
  assert.equal(links.get('veth7')?.masterIfindex, bridge?.ifindex);
  assert.equal(links.get('veth8')?.up, false);
  assert.equal(links.get('veth8')?.arphrd, 1);
  ip('link delete veth7');
  ip('link delete br7');
});

test('watchLinks tells new and deleted links', async () => {
  const events = await watchUntil(isDeleted('new7'), () => {
    ip('link add new7 type veth peer name new8');
    ip('link set new7 up');
    ip('link delete new7');
  });
  const first = events.find((event) => event.kind === 'new' && event.link.name === 'new7');
  assert.ok(first?.kind === 'new' && !first.link.up && first.link.kind === 'veth');
  assert.ok(events.some((event) => event.kind === 'new' && event.link.name === 'new7' && event.link.up));
  assert.ok(events.every((event) => event.kind === 'new' || event.kind === 'deleted'));
});

test('watchLinks does not call a port that leaves its bridge deleted', async () => {
  ip('link add br7 type bridge');
  ip('link add port7 type veth peer name port8');
  const events = await watchUntil(isDeleted('br7'), () => {
    ip('link set port7 master br7');
    ip('link set port7 nomaster');
    ip('link delete br7');
  });
  assert.ok(events.some((event) => event.kind === 'new' && event.link.masterIfindex !== undefined));
  assert.ok(!events.some(isDeleted('port7')));
  ip('link delete port7');
});

test('watchLinks says overrun when events were lost, and goes on', async () => {
  ip('link add over7 type veth peer name over8');
  const changes = Array.from({ length: 100 }, (_, i) => `link set over7 mtu ${1000 + i}`).join('\n');
  const seen: LinkEvent[] = [];
  let finish = () => {};
  const finished = new Promise<void>((resolve) => {
    finish = resolve;
  });
  const onEvent = (event: LinkEvent) => {
    if (event.kind === 'overrun') setImmediate(() => ip('link delete over7'));
    seen.push(event);
    if (isDeleted('over7')(event)) finish();
  };
  using _watch = watchLinks(onEvent, { receiveBytes: 2304 });
  // The event loop does not turn while this runs.
  execFileSync('ip', ['-batch', '-'], { input: changes });
  await finished;
  assert.ok(seen.some((event) => event.kind === 'overrun'));
});

test('a closed watch tells nothing', async () => {
  const late: LinkEvent[] = [];
  const watch = watchLinks((event) => late.push(event));
  watch.close();
  watch.close();
  await watchUntil(isDeleted('late7'), () => {
    ip('link add late7 type veth peer name late8');
    ip('link delete late7');
  });
  assert.deepEqual(late, []);
});

test('openNetlinkGroup throws EPROTONOSUPPORT for a protocol that is not there', () => {
  assert.throws(() => openNetlinkGroup(31, 1, () => {}), { code: 'EPROTONOSUPPORT' });
});
