/*
 * The lab of the tests of `observe`: test/lab/topology.ts with dnsmasq on 192.0.2.53 and web servers.
 *
 * www.listed.example (198.51.100.1) is allowed by name, 203.0.113.200 by address; tracker.other.test (198.51.100.2)
 * and everything else is refused.
 */
import assert from 'node:assert/strict';
import { checkEvent } from '../flow/event-schema.ts';
import { findCli } from '../lab/checkout.ts';
import type { RunResult } from '../lab/command.ts';
import type { Namespace } from '../lab/namespace.ts';
import type { Process } from '../lab/process.ts';
import { startDnsmasq } from '../lab/resolvers.ts';
import { startWeb } from '../lab/servers.ts';
import { createLab, type Lab, RESOLVERS } from '../lab/topology.ts';
import type { LoggedEvent } from './enforcer.ts';
import { distinctRecords } from './learning-lab.ts';
import { l7egg } from './robust-lab.ts';

export const LISTED = 'www.listed.example';
export const TRACKER = 'tracker.other.test';
export const CIDR = '203.0.113.200';
export const REFUSED = '203.0.113.99';
export const FLAGS = ['-iface=eth0', '-eface=eth0', '-cn=.listed.example', `-cidr=${CIDR}`];
export const NOT_ENFORCING = 3;
const LIMIT_MS = 10_000;

/** The lab with its servers; the caller closes it. */
export async function createObserveLab(): Promise<Lab> {
  const lab = createLab();
  try {
    const [{ v4 }] = RESOLVERS;
    await Promise.all([
      startWeb(lab.web),
      startDnsmasq(lab.dns, { addresses: [v4], records: distinctRecords([LISTED, TRACKER]) }),
    ]);
    lab.host.useResolvConf(`nameserver ${v4}\n`);
    return lab;
  } catch (cause) {
    lab.close();
    throw cause;
  }
}

/** Runs `observe` of an enforcer to its end. */
export function observe(
  host: Namespace,
  { instance }: { readonly instance: string },
  ...flags: readonly string[]
): Promise<RunResult> {
  return l7egg(host, 'observe', `-instance=${instance}`, ...flags);
}

/** The events that `observe -json` with `flags` tells of; each is looked at by the schema. */
export async function observed(
  host: Namespace,
  enforcer: { readonly instance: string },
  ...flags: readonly string[]
): Promise<readonly LoggedEvent[]> {
  const done = await observe(host, enforcer, '-json', ...flags);
  assert.deepEqual([done.code, done.stderr], [0, '']);
  return parseEvents(done.stdout);
}

/** The events of lines, each looked at by the schema. */
export function parseEvents(text: string): readonly LoggedEvent[] {
  const lines = text.split('\n');
  assert.equal(lines.pop(), '', 'whole lines');
  return lines.map((line): LoggedEvent => {
    const event = JSON.parse(line);
    checkEvent(event);
    return event;
  });
}

/** `observe -f -json` while it runs. */
export class Follower {
  readonly process: Process;
  readonly events: LoggedEvent[] = [];
  /** When each came, by `performance.now()`. */
  readonly cameMs: number[] = [];

  constructor(process: Process) {
    this.process = process;
    process.onLine(({ stream, text, atMs }) => {
      if (stream !== 'stdout') return;
      const event = JSON.parse(text);
      checkEvent(event);
      this.events.push(event);
      this.cameMs.push(atMs);
    });
  }

  /** What it wrote to stderr so far. */
  get said(): readonly string[] {
    return this.process.lines.filter(({ stream }) => stream === 'stderr').map(({ text }) => text);
  }
}

/** Starts `observe -f -json` with `flags`. What happens before it follows, of that it is told as of the past. */
export function startFollower(
  host: Namespace,
  { instance }: { readonly instance: string },
  ...flags: readonly string[]
): Follower {
  return new Follower(host.spawn(findCli(), ['observe', '-f', '-json', `-instance=${instance}`, ...flags]));
}

/** As `startFollower`, from the last event on; resolves once it was told of that, so it follows. */
export async function follow(
  host: Namespace,
  enforcer: { readonly instance: string },
  ...flags: readonly string[]
): Promise<Follower> {
  const follower = startFollower(host, enforcer, '-n=1', ...flags);
  await follower.process.waitForLine(/^\{/u, LIMIT_MS);
  return follower;
}
