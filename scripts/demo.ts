/*
 * `make demo`: the main job of l7egg on a lab of network namespaces, shown as it happens.
 *
 *   host ──────────── wire ──────────── dns   dnsmasq, 192.0.2.53
 *   l7egg, curl        └─────────────── web   two nginx: the shop on 198.51.100.0/24, others on 203.0.113.0/24
 *
 * Exit code 0 when everything was as expected, 1 when not, 3 without root, 130 and the like on a signal.
 */
import { constants } from 'node:os';
import { Scope } from '../src/scope.ts';
import { findCli } from '../test/lab/checkout.ts';
import { connectAtFirstPacket, curl, type FetchedBody } from '../test/lab/clients.ts';
import type { RunResult } from '../test/lab/command.ts';
import { freshRecords } from '../test/lab/first-packet.ts';
import type { Process } from '../test/lab/process.ts';
import { addressRecords } from '../test/lab/records.ts';
import { startDnsmasq } from '../test/lab/resolvers.ts';
import { startWeb } from '../test/lab/servers.ts';
import { createLab, type Lab, RESOLVERS } from '../test/lab/topology.ts';
import { Stage } from './demo-stage.ts';

const LIMIT_MS = 55_000;
const READY_LIMIT_MS = 15_000;
const FLAGS = [
  '-iface=eth0',
  '-eface=eth0',
  '-cn=.shop.example',
  '-name=api.partner.example',
  '-cidr=203.0.113.10/32',
];
const INSTANCE = `-instance=demo-${process.pid}`;
const FRESH = { suffix: 'fresh.shop.example', nonce: 'n', count: 200, family: 4 } as const;

// Fresh names have 198.51.100.1 to .200, so that no other name's address is known from them.
const RECORDS = [
  ...addressRecords('www.shop.example', ['198.51.100.210', '2001:db8:2::210']),
  ...addressRecords('new.shop.example', ['198.51.100.211']),
  ...addressRecords('late.shop.example', ['198.51.100.212']),
  ...addressRecords('shop.example', ['203.0.113.20']),
  ...addressRecords('api.partner.example', ['203.0.113.30']),
  ...addressRecords('www.partner.example', ['203.0.113.31']),
  ...addressRecords('tracker.evil.example', ['203.0.113.66']),
  ...freshRecords(FRESH),
];
const SHOP_WEB = [...Array.from({ length: 254 }, (_, index) => `198.51.100.${index + 1}`), '2001:db8:2::210'];
const OTHER_WEB = [...[10, 20, 30, 31, 66, 99].map((last) => `203.0.113.${last}`), '2001:db8:2::bad'];
const HARD_CODED = 'http://203.0.113.99/';
const TRACKER = 'http://tracker.evil.example/';

const stage = new Stage();
const scope = new Scope();

/** Runs one command of l7egg in the host namespace and shows what it wrote. */
async function command(lab: Lab, words: readonly string[]): Promise<RunResult> {
  stage.say(`$ l7egg-cli ${words.join(' ')}`);
  const done = await lab.host.runAsync(findCli(), [...words, INSTANCE]);
  stage.say(`${done.stdout}${done.stderr}`.split('\n').slice(0, 12).join('\n'));
  return done;
}

/** Starts the enforcer in the host namespace; resolves when it says that it enforces. */
async function enforce(lab: Lab): Promise<Process> {
  stage.say(`$ l7egg-cli ${FLAGS.join(' ')}`);
  const from = performance.now();
  const enforcer = lab.host.spawn(findCli(), [...FLAGS, '-log=text', INSTANCE]);
  stage.follow(enforcer);
  await enforcer.waitForLine(/^enforcing/, READY_LIMIT_MS);
  stage.expect(true, `enforcing ${(performance.now() - from).toFixed(0)} ms after its start`);
  return enforcer;
}

const allowed = async (lab: Lab, url: string, family = '-4') =>
  stage.expectAnswer(await get(lab, url, family));
const refused = async (lab: Lab, url: string, family = '-4') =>
  stage.expectRefusal(await get(lab, url, family));

function get(lab: Lab, url: string, family: string): Promise<FetchedBody> {
  return curl(lab.host, url, { args: url.includes('[') ? [] : [family], limitMs: 3_000 });
}

async function showNames(lab: Lab, enforcer: Process): Promise<void> {
  stage.act('Names: the address is learned from the DNS answer, before the first packet');
  let mark = enforcer.mark();
  await allowed(lab, 'http://www.shop.example/');
  await stage.expectEvent(enforcer, '198.51.100.210', mark);
  await allowed(lab, 'http://www.shop.example/', '-6');
  await allowed(lab, 'http://api.partner.example/');

  stage.say(
    `${FRESH.count} names never seen before, an address each, connected at the moment of the answer:`,
  );
  const [resolver] = RESOLVERS;
  const plan = {
    ...FRESH,
    resolver: resolver.v4,
    resolverPort: 53,
    parallel: 16,
    connectPort: 80,
    limitMs: 3_000,
  };
  stage.beginSeries(FRESH.suffix);
  const report = await connectAtFirstPacket(lab.host, plan, 20_000);
  stage.endSeries();
  const whole = report.connected === FRESH.count && report.synRetransmits === 0;
  const slowest = `slowest connect ${report.connectMs.max.toFixed(1)} ms`;
  stage.expect(
    whole,
    `${report.connected} connected, ${report.synRetransmits} packets sent again, ${slowest}`,
  );

  stage.act('What no rule allows is refused at once, not after a time-out');
  mark = enforcer.mark();
  await refused(lab, TRACKER);
  await stage.expectEvent(enforcer, 'tracker.evil.example', mark);
  await refused(lab, 'http://www.partner.example/');
  stage.say('".shop.example" is a suffix with its dot: shop.example itself is not below it.');
  await refused(lab, 'http://shop.example/');
}

async function showNetworks(lab: Lab, enforcer: Process): Promise<void> {
  stage.act('Addresses without a name: only what -cidr lists');
  const mark = enforcer.mark();
  await allowed(lab, 'http://203.0.113.10/');
  await refused(lab, HARD_CODED);
  await stage.expectEvent(enforcer, '203.0.113.99', mark);
  await refused(lab, 'http://[2001:db8:2::bad]/');
}

async function showKill(lab: Lab, killed: Process): Promise<Process> {
  stage.act('kill -9: the programs stay in the kernel, and learning goes on there');
  killed.kill('SIGKILL');
  const { signal } = await killed.exited;
  stage.expect(signal === 'SIGKILL', 'the enforcer is dead');
  await refused(lab, TRACKER);
  await refused(lab, HARD_CODED);
  stage.say('new.shop.example was never looked up so far:');
  await allowed(lab, 'http://new.shop.example/');
  stage.expect((await command(lab, ['status'])).code === 0, 'status: in force, with no process');

  stage.act('Started again: it adopts what is in force, with no gap');
  const enforcer = await enforce(lab);
  await allowed(lab, 'http://late.shop.example/');
  await refused(lab, TRACKER);
  return enforcer;
}

async function showStop(lab: Lab, enforcer: Process): Promise<void> {
  stage.act('Stopped in order: nothing of it is left, all is reachable as before');
  stage.expect((await command(lab, ['stop'])).code === 0, 'stop: done');
  const { code } = await enforcer.exited;
  stage.expect(code === 0, `the enforcer ended with exit code ${code}`);
  await allowed(lab, TRACKER);
  await allowed(lab, HARD_CODED);
  stage.expect((await command(lab, ['status'])).code === 3, 'status: not enforcing');
}

async function show(): Promise<void> {
  stage.act('A lab: a host, a DNS server and two web servers in network namespaces');
  const lab = scope.use(createLab());
  // Pins outlive a killed enforcer, so they are removed even when the demo is cut short.
  scope.defer(() => lab.host.run(findCli(), ['clean', INSTANCE]));
  const [resolver] = RESOLVERS;
  await Promise.all([
    startDnsmasq(lab.dns, { addresses: [resolver.v4, resolver.v6], records: RECORDS }),
    startWeb(lab.web, { addresses: SHOP_WEB, ports: [80], greeting: 'the shop, at $server_addr' }),
    startWeb(lab.web, { addresses: OTHER_WEB, ports: [80], greeting: 'elsewhere, at $server_addr' }),
  ]);
  lab.host.useResolvConf(`nameserver ${resolver.v4}\n`);
  stage.say('Without l7egg, everything is reachable:');
  await allowed(lab, TRACKER);
  await allowed(lab, HARD_CODED);

  stage.act('l7egg between them');
  const enforcer = await enforce(lab);
  await showNames(lab, enforcer);
  await showNetworks(lab, enforcer);
  await showStop(lab, await showKill(lab, enforcer));
}

/** Leaves nothing behind, whatever was under way, and ends the demo. */
function leave(exitCode: number): never {
  scope.close();
  process.exit(exitCode);
}

if (process.getuid?.() !== 0) {
  process.stderr.write('The demo makes network namespaces, which needs root: run it with sudo.\n');
  process.exit(3);
}
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
  process.once(signal, () => leave(128 + constants.signals[signal]));
}
process.stdout.on('error', () => leave(0)); // EPIPE: nobody looks on any more
const late = setTimeout(() => {
  process.stderr.write(`The demo is not over after ${LIMIT_MS / 1000} s.\n`);
  leave(1);
}, LIMIT_MS);

try {
  await show();
} catch (cause) {
  stage.expect(false, cause instanceof Error ? cause.message : `${cause}`);
}
clearTimeout(late);
stage.end();
leave(stage.missed === 0 ? 0 : 1);
