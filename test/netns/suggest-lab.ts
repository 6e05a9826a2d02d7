/*
 * Traffic of a build on the host of the lab, and lists of what it needs.
 *
 *   host 192.0.2.2, 2001:db8:1::2 eth0 ── wire ── dns  BIND 192.0.2.53
 *                                          └───── web  nginx on 80, 443, 8443; TCP echo on 22 and 9418, UDP echo on 123
 *
 * apt:  an SRV lookup, a redirect from port 80 to 443 of another name, a chain of CNAMEs
 * npm:  a registry and twelve names of a CDN at once, over IPv6
 * git:  443 and 22 of one name, and 9418 of an address that nobody looked up
 * ntp, ping over both families; a name that leads to a private address
 */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { curl, curlMany, dig, type Place } from '../lab/clients.ts';
import { mustRun, type RunResult } from '../lab/command.ts';
import type { Namespace } from '../lab/namespace.ts';
import { addressRecords, type DnsRecord } from '../lab/records.ts';
import { startBind } from '../lab/resolvers.ts';
import { startTcpEcho, startUdpEcho, startWeb } from '../lab/servers.ts';
import { createLab, type Lab, RESOLVERS } from '../lab/topology.ts';
import type { RunningEnforcer } from './enforcer.ts';
import { l7egg } from './robust-lab.ts';

/** An address that is reached without a name, and the name that DNS has for it. */
export const BARE = '198.51.100.90';
export const BARE_NAME = 'mirror.isp.example';
/** Where a name of the lab leads inward; `web` has it. */
export const PRIVATE = '10.7.7.7';
/** Names that resolve and that the traffic never asks for. */
export const OTHER = 'www.other.example';
export const FLAGS: readonly string[] = ['-iface=eth0', '-eface=eth0'];

const CDN = Array.from({ length: 12 }, (_, index) => `c${index}.cdn.npm.example`);
const SRV = '_http._tcp.deb.apt.example';
const RECORDS: readonly DnsRecord[] = [
  { name: SRV, type: 'SRV', value: '0 0 80 deb.apt.example' },
  ...both('deb.apt.example', 1),
  ...both('mirror.apt.example', 2),
  { name: 'security.apt.example', type: 'CNAME', value: 'security.edge.example' },
  { name: 'security.edge.example', type: 'CNAME', value: 'pop7.edge.example' },
  ...both('pop7.edge.example', 3),
  ...both('registry.npm.example', 4),
  ...CDN.flatMap((name, index) => both(name, 10 + index)),
  ...both('git.example', 5),
  ...both('time.example', 6),
  ...both('ping.example', 7),
  ...both(OTHER, 8),
  ...addressRecords('int.example', [PRIVATE]),
  { name: '90.100.51.198.in-addr.arpa', type: 'PTR', value: BARE_NAME },
];

function both(name: string, number: number): readonly DnsRecord[] {
  return addressRecords(name, [`198.51.100.${number}`, `2001:db8:2::${number.toString(16)}`]);
}

/** One part of the traffic; it answers whether all of it passed. */
export interface Step {
  readonly what: string;
  /** Not sayable in a format that has no ICMP. */
  readonly isPing?: boolean;
  readonly passes: (host: Namespace) => boolean | Promise<boolean>;
}

/** The traffic, in its order. */
export const TRAFFIC: readonly Step[] = [
  {
    what: 'apt: the SRV lookup',
    passes: (host) => dig(host, RESOLVERS[0].v4, [SRV, 'SRV']).stdout.includes('status: NOERROR'),
  },
  {
    what: 'apt: a redirect from 80 to 443 of another name',
    passes: (host) => gets(host, 'http://deb.apt.example/moved', '-L'),
  },
  { what: 'apt: a chain of CNAMEs', passes: (host) => gets(host, 'http://security.apt.example/') },
  { what: 'npm: the registry', passes: (host) => gets(host, 'http://registry.npm.example:443/', '-4') },
  {
    what: 'npm: a CDN, at once, over IPv6',
    passes: async (host) => {
      const urls = CDN.map((name) => `http://${name}:443/`);
      return (await curlMany(host, urls, { args: ['-6'] })).every(({ exitCode }) => exitCode === 0);
    },
  },
  { what: 'git: 443', passes: (host) => gets(host, 'http://git.example:443/') },
  { what: 'git: 22', passes: (host) => echoes(host, 'TCP4:git.example:22') },
  { what: 'git: an address without a name', passes: (host) => echoes(host, `TCP4:${BARE}:9418`) },
  { what: 'ntp', passes: (host) => echoes(host, 'UDP4:time.example:123') },
  { what: 'ping', isPing: true, passes: (host) => pings(host, '-4') },
  { what: 'ping over IPv6', isPing: true, passes: (host) => pings(host, '-6') },
  { what: 'a private address', passes: (host) => gets(host, 'http://int.example/') },
];

/** What nobody did: each has to be refused once a list of the traffic is in force, whatever its format. */
export const STRANGE: readonly Step[] = [
  { what: 'another name', passes: (host) => gets(host, `http://${OTHER}/`) },
  { what: 'another address', passes: (host) => gets(host, 'http://203.0.113.66/') },
  { what: 'a port that nobody used', passes: (host) => gets(host, 'http://git.example:8443/') },
  { what: 'another private address', passes: (host) => gets(host, 'http://10.7.7.8/') },
];

/** Brings the lab up; the caller closes it. */
export async function createSuggestLab(): Promise<Lab> {
  const lab = createLab();
  try {
    const [{ v4 }] = RESOLVERS;
    lab.web.must('ip', ['route', 'add', 'local', '10.7.7.0/24', 'dev', 'lo']);
    await Promise.all([
      startBind(lab.dns, { addresses: [v4], records: RECORDS }),
      startWeb(lab.web, { redirects: { '/moved': 'http://mirror.apt.example:443/' } }),
      startTcpEcho(lab.web, 22),
      startTcpEcho(lab.web, 9418),
      startUdpEcho(lab.web, 123),
    ]);
    lab.host.useResolvConf(`nameserver ${v4}\n`);
    return lab;
  } catch (cause) {
    lab.close();
    throw cause;
  }
}

/** Does the traffic; asserts that all of it passes, but for what `except` names. */
export async function trafficPasses(
  host: Namespace,
  except: (step: Step) => boolean = () => false,
): Promise<void> {
  for (const step of TRAFFIC)
    assert.equal(
      await step.passes(host),
      !except(step),
      `${step.what} should ${except(step) ? 'not ' : ''}pass`,
    );
}

/** Asserts that nothing passes that was never seen. */
export async function strangersAreRefused(host: Namespace): Promise<void> {
  for (const { what, passes } of STRANGE)
    assert.equal(await passes(host), false, `${what} should be refused`);
}

/** Runs `suggest` for an enforcer; asserts that it succeeds. */
export async function suggest(
  host: Namespace,
  enforcer: RunningEnforcer,
  ...flags: readonly string[]
): Promise<string> {
  const done = await suggestRaw(host, `-instance=${enforcer.instance}`, ...flags);
  assert.deepEqual([done.code, done.stderr], [0, ''], done.stdout);
  return done.stdout;
}

/** Runs `suggest`. */
export function suggestRaw(host: Namespace, ...flags: readonly string[]): Promise<RunResult> {
  return l7egg(host, 'suggest', ...flags);
}

/** The words of a list as flags, as a shell makes them of it behind a command. */
export function wordsOf(list: string): string[] {
  const printed = mustRun(['sh', '-c', `eval "printf '%s\\n' $LIST"`], { env: { LIST: list } });
  return printed.trim().split('\n');
}

/** A list as a policy file of its own, unchanged. */
export function fileOf(host: Namespace, list: string): string {
  const path = join(host.directory, 'suggested.yaml');
  writeFileSync(path, list);
  return path;
}

/** Whether a page comes. */
export async function gets(place: Place, url: string, ...args: readonly string[]): Promise<boolean> {
  return (await curl(place, url, { args, limitMs: 2_000 })).exitCode === 0;
}

/* socat ends when the echo has come, or the time is over. */
function echoes(host: Namespace, peer: string): boolean {
  return host.run('socat', ['-t1', '-T1', '-', peer], { input: 'hello\n' }).stdout === 'hello\n';
}

function pings(host: Namespace, family: '-4' | '-6'): boolean {
  return host.run('ping', [family, '-n', '-c1', '-W1', 'ping.example']).code === 0;
}
