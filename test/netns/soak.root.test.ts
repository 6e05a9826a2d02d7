/*
 * Everything at once for a long time: fresh names under a wildcard, new flows, live flows, many prefixes. Memory stays
 * bounded and flat, no allowed flow is lost, nothing blocked passes, the enforcer answers. The lab is that of
 * robust-lab.ts, with two resolvers that know every name: one for the flood, one for the traffic of invariants.ts.
 *
 *   host ── soak-lookups, observe-flood, soak-flows, robust-client ── wire ── dns: answers
 *                                                                       └──── web: soak-flows; 198.18.0.0/16 nowhere
 *
 * L7EGG_SOAK_SECONDS: from 60 on with the sizes and rates of the issue.
 */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { findCli } from '../lab/checkout.ts';
import { spreadOf } from '../lab/first-packet.ts';
import type { Namespace } from '../lab/namespace.ts';
import type { Process } from '../lab/process.ts';
import { ip, type Lab, RESOLVERS } from '../lab/topology.ts';
import {
  ANY_NAME,
  assertNothingLeft,
  assertTruthful,
  noteKernel,
  startAnyName,
  startProber,
} from './invariants.ts';
import { chains, createRobustLab, l7egg, newInstance } from './robust-lab.ts';
import { compileLoad, countEntries, type Sample, sample, thirds } from './soak-lab.ts';

const seconds = Number(process.env.L7EGG_SOAK_SECONDS ?? 10);
const isLong = seconds >= 60;
const SIZES = isLong
  ? { lookups: 20_000, newFlows: 50_000, sources: 500, prefixes: 1_000_000, tcp: 1_000, sampleMs: 500 }
  : { lookups: 2_000, newFlows: 10_000, sources: 50, prefixes: 20_000, tcp: 100, sampleMs: 100 };
/** Live flows: of each source one to each of them. */
const ADDRESSES = 200;
/** A UDP flow is forgotten after 60 s. */
const ROUND_MS = 20_000;
const FLOOD_RESOLVER = RESOLVERS[2];
const LIVE_PORT = 4_000;
const START_LIMIT_MS = 120_000;
const LIMIT_MS = 10_000;
/** Of the process, with prefixes of a policy file as large as this. */
const MAX_RSS_KB = isLong ? 1 << 20 : 224 << 10;
/** From the middle third to the last one. */
const MAX_GROWTH = isLong ? 1.1 : 1.5;
/** Of the time that it has a CPU: of a busy machine there is little. */
const MAX_ANSWER_MS = 1_000;
/** By then `observe` gives up. */
const CLIENT_LIMIT_MS = 10_000;

let lab: Lab;
let host: Namespace;

before(async () => {
  lab = await createRobustLab();
  host = lab.host;
  ip(lab.web, ['route add blackhole 198.18.0.0/16']);
  await Promise.all([startAnyName(lab), startAnyName(lab, FLOOD_RESOLVER.v4, '2001:db8:2::e:0:0')]);
});
after(() => lab.close());

/** Halves of /24s that are no destination of anybody: prefixes that can't be merged. */
function manyPrefixes(count: number): string {
  return Array.from(
    { length: count },
    (_, i) => `${32 + (i >> 17)}.${(i >> 9) & 255}.${(i >> 1) & 255}.${(i & 1) * 128}/25`,
  ).join(', ');
}

function writePolicy(): string {
  const path = join(host.directory, 'soak.yaml');
  writeFileSync(
    path,
    `apiVersion: l7egg/v1
kind: EgressPolicy
name: soak
rules:
  - {name: named, suffixes: [.ok.example]}
  - {name: live, cidrs: [198.51.100.0/24]}
  - {name: new, cidrs: [198.18.0.0/16]}
  - {name: many, cidrs: [{cidr: 32.0.0.0/3, except: [${manyPrefixes(SIZES.prefixes)}]}]}
`,
  );
  return path;
}

/** The numbers of a line such as `sent 12, failed 0`. */
function numbersOf(line: string): Record<string, number> {
  return Object.fromEntries(
    [...line.matchAll(/([a-z]+) (\d+)/gu)].map(([, word = '', n]) => [word, Number(n)]),
  );
}

async function endWith(process: Process, pattern: RegExp): Promise<Record<string, number>> {
  process.kill('SIGTERM');
  return numbersOf((await process.waitForLine(pattern, LIMIT_MS)).text);
}

test(`${seconds} s of ${SIZES.lookups} fresh names/s, ${SIZES.newFlows} new flows/s, ${SIZES.sources * ADDRESSES} live flows, ${SIZES.prefixes} prefixes`, async (context) => {
  const instance = newInstance();
  context.after(() => l7egg(host, 'clean', `-instance=${instance}`));
  const resolvers = `-resolver=${ANY_NAME.v4},${FLOOD_RESOLVER.v4}`;
  const words = [
    findCli(),
    '-iface=eth0',
    '-eface=eth0',
    `-policy=${writePolicy()}`,
    resolvers,
    `-instance=${instance}`,
  ];
  const enforcer = host.spawn('sh', ['-c', 'exec "$@" >/dev/null', 'sh', ...words]);
  await enforcer.waitForLine(/^enforcing/u, START_LIMIT_MS);
  const judged = { host, instance, place: host, hooks: await chains(host) };

  const flows = compileLoad(host, 'soak-flows');
  const peer = lab.web.spawn(flows, [`${LIVE_PORT}`]);
  await peer.waitForLine(/^ready$/u, LIMIT_MS);
  const live = host.spawn(flows, [
    `${LIVE_PORT}`,
    '198.51.100.10',
    `${ADDRESSES}`,
    `${SIZES.sources}`,
    `${ROUND_MS}`,
    `${SIZES.tcp}`,
  ]);
  await live.waitForLine(/^going$/u, LIMIT_MS);
  const prober = await startProber(host, { nonce: 'p', paceMs: 20 });
  await prober.strict();
  const lookups = host.spawn(compileLoad(host, 'soak-lookups'), [
    FLOOD_RESOLVER.v4,
    's.ok.example',
    `${SIZES.lookups}`,
  ]);
  const count = `${SIZES.newFlows * seconds}`;
  const fresh = host.spawn(compileLoad(host, 'observe-flood'), [
    '198.18.0.0',
    '0',
    count,
    `${SIZES.newFlows}`,
  ]);

  const from = performance.now();
  const samples: Sample[] = [];
  while (performance.now() < from + 1_000 * seconds) {
    samples.push(await sample(instance, enforcer.pid));
    await pause(Math.max(0, from + SIZES.sampleMs * samples.length - performance.now()));
  }
  const entries = [countEntries(instance, 'flows'), countEntries(instance, 'learned')];
  const asked = await endWith(lookups, /^asked/u);
  const sent = numbersOf((await fresh.waitForLine(/^sent/u, 1_000 * seconds + LIMIT_MS)).text);
  const lived = await endWith(live, /^sent/u);
  const received = await endWith(peer, /^received/u);
  const report = await prober.finish(10 * seconds);
  const status = await assertTruthful(judged, 'after the load');

  const perSecond = (n = 0, ms = 1) => Math.round((1_000 * n) / ms);
  const spread = spreadOf(samples.map(({ answerMs }) => answerMs));
  const own = spreadOf(samples.map(({ ownMs }) => ownMs));
  const [rss, maps] = [
    thirds(samples.map(({ rssKb }) => rssKb)),
    thirds(samples.map(({ mapBytes }) => mapBytes)),
  ];
  context.diagnostic(
    `soak: ${seconds} s; lookups/s asked ${SIZES.lookups}, answered ${perSecond(asked.answered, asked.ms)}; new flows/s asked ${SIZES.newFlows}, reached ${perSecond(sent.sent, sent.in)}; live flows ${SIZES.sources * ADDRESSES}, datagrams ${lived.sent}, lost ${(lived.sent ?? 0) - (received.received ?? 0)}; TCP echoes ${lived.echoed}, failed ${lived.failed}, slowest ${lived.slowest} us; prefixes ${SIZES.prefixes}`,
  );
  context.diagnostic(
    `soak: RSS MiB by thirds ${rss.map((kb) => Math.round(kb / 1024))}; state maps MiB ${maps.map((bytes) => (bytes / (1 << 20)).toFixed(1))}; at the end ${entries[0]} flows, ${entries[1]} leased addresses; ${samples.length} answers, ms p50 ${spread.p50.toFixed(1)} p99 ${spread.p99.toFixed(1)} max ${spread.max.toFixed(1)}, without the wait for a CPU p99 ${own.p99.toFixed(1)} max ${own.max.toFixed(1)}; traffic ${JSON.stringify(report)}; losses ${JSON.stringify(status.losses)}`,
  );
  assert.equal(asked.refused, 0);
  assert.ok((asked.answered ?? 0) > 0.95 * (asked.asked ?? 1), 'lookups are answered');
  assert.equal(sent.failed, 0, 'new flows pass');
  assert.deepEqual([lived.failed, lived.sent], [0, received.received], 'no live flow was lost');
  assert.ok(Math.max(...samples.map(({ rssKb }) => rssKb)) < MAX_RSS_KB, `RSS in KiB: ${rss}`);
  assert.ok(rss[2] < MAX_GROWTH * rss[1], `RSS is flat, in KiB by thirds: ${rss}`);
  assert.ok(maps[2] < 1.05 * maps[0], `maps are flat, in bytes by thirds: ${maps}`);
  assert.ok(own.max < MAX_ANSWER_MS, `answers within a second: ${JSON.stringify([spread, own])}`);
  assert.ok(spread.max < CLIENT_LIMIT_MS, `nobody gives up: ${JSON.stringify(spread)}`);

  const noted = noteKernel(instance);
  assert.equal((await l7egg(host, 'stop', `-instance=${instance}`)).code, 0);
  await assertNothingLeft(judged, noted, 'after stop');
});
