/*
 * The lab of the tests that kill, restart and break enforcers, and looks at what they leave behind.
 *
 *   host 192.0.2.2 eth0 ── wire ── dns  dnsmasq 192.0.2.53
 *                            └──── web  nginx on ports 80, 443, 8443; TCP echo on port 7
 *
 * Allowed: every name under .ok.example (198.51.100.1 and up), 198.51.100.0/24 by no prefix.
 * Blocked: everything else, of which 203.0.113.66 answers on the same ports.
 */
import { existsSync, readdirSync } from 'node:fs';
import type { TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';
import { PIN_ROOT, Pins } from '../../src/datapath/pins.ts';
import { RUN_ROOT } from '../../src/enforcer/run-dir.ts';
import { BpfLink } from '../../src/libbpf/link.ts';
import { pinKind } from '../../src/libbpf/pin.ts';
import { BpfProgram } from '../../src/libbpf/program.ts';
import { findCli } from '../lab/checkout.ts';
import { curl } from '../lab/clients.ts';
import type { RunResult } from '../lab/command.ts';
import type { Namespace } from '../lab/namespace.ts';
import type { Process } from '../lab/process.ts';
import { addressRecords, type DnsRecord } from '../lab/records.ts';
import { startDnsmasq } from '../lab/resolvers.ts';
import { startTcpEcho, startWeb } from '../lab/servers.ts';
import { createLab, type Lab, RESOLVERS } from '../lab/topology.ts';
import { type EnforcerOptions, type RunningEnforcer, startEnforcer } from './enforcer.ts';

/** An address that answers and that no rule allows. */
export const BLOCKED = '203.0.113.66';
/** Allowed by name, at 198.51.100.210. */
export const ALLOWED = 'www.ok.example';
export const ALLOWED_ADDRESS = '198.51.100.210';
/** Allowed by name, and nothing else has its address, 198.51.100.211. */
export const OTHER = 'other.ok.example';
export const FLAGS: readonly string[] = ['-iface=eth0', '-eface=eth0', '-cn=.ok.example'];

const RECORDS = [
  ...addressRecords(ALLOWED, [ALLOWED_ADDRESS]),
  ...addressRecords(OTHER, ['198.51.100.211']),
  ...addressRecords('www.no.example', [BLOCKED]),
];
const CURL_REFUSED = 7;

let named = 0;

/** A name for an instance that no other test has. */
export function newInstance(): string {
  named += 1;
  return `t${process.pid}-r${named}`;
}

/** A lab with its servers; `records` are added to the usual ones. The caller closes it. */
export async function createRobustLab(records: readonly DnsRecord[] = []): Promise<Lab> {
  const lab = createLab();
  try {
    const [{ v4, v6 }] = RESOLVERS;
    await Promise.all([
      startDnsmasq(lab.dns, { addresses: [v4, v6], records: [...RECORDS, ...records] }),
      startWeb(lab.web),
      startTcpEcho(lab.web),
    ]);
    lab.host.useResolvConf(`nameserver ${v4}\n`);
    return lab;
  } catch (cause) {
    lab.close();
    throw cause;
  }
}

/** Starts an enforcer that ends with the test, and nothing of it is left for the next one. */
export async function startFor(
  context: TestContext,
  namespace: Namespace,
  flags: readonly string[] = FLAGS,
  options: EnforcerOptions = {},
): Promise<RunningEnforcer> {
  const { instance = newInstance() } = options;
  context.after(() => l7egg(namespace, 'clean', `-instance=${instance}`));
  return startEnforcer(namespace, flags, { ...options, instance });
}

/** Ends an enforcer as nothing else would: all of it stays in force. */
export async function killNow({ process }: RunningEnforcer): Promise<void> {
  process.kill('SIGKILL');
  await process.exited;
}

/** Runs the command under test in `namespace` to its end. */
export function l7egg(namespace: Namespace, ...args: readonly string[]): Promise<RunResult> {
  return namespace.runAsync(findCli(), args);
}

/** Whether `host` answers over HTTP: true, or false when the connect was refused. Throws for anything else. */
export async function isOpen(namespace: Namespace, host: string = BLOCKED): Promise<boolean> {
  const { exitCode, error } = await curl(namespace, `http://${host.includes(':') ? `[${host}]` : host}/`);
  if (exitCode === 0) return true;
  if (exitCode === CURL_REFUSED) return false;
  throw new Error(`Cannot tell whether "${host}" is open: curl ended with ${exitCode}, ${error}`);
}

/** Starts a program of this folder's build in `namespace`. */
export function startScript(namespace: Namespace, name: string, ...args: readonly string[]): Process {
  const path = fileURLToPath(new URL(`${name}.js`, import.meta.url));
  return namespace.spawn(process.execPath, [path, ...args]);
}

/** Names of the programs on tcx and clsact of every interface of `namespace`, as `eth0 egress NAME`, first to run first. */
export async function chains(namespace: Namespace): Promise<readonly string[]> {
  const path = fileURLToPath(new URL('robust-chains.js', import.meta.url));
  const done = await namespace.runAsync(process.execPath, [path]);
  if (done.code !== 0) throw new Error(`Cannot list what is attached: ${done.stderr}`);
  return done.stdout.split('\n').filter((line) => line !== '');
}

/** Ids of the programs that an instance has pinned, by links or themselves, cgroup links too. */
export function pinnedPrograms(instance: string): readonly number[] {
  const root = `${new Pins(instance).root}/links`;
  return readdirSync(root).flatMap((name) => {
    const path = `${root}/${name}`;
    using pinned = pinKind(path) === 'prog' ? BpfProgram.openPinned(path) : BpfLink.openPinned(path);
    if (pinned instanceof BpfProgram) return pinned.info().id;
    return pinned?.info().progId ?? [];
  });
}

/** Whether the kernel still has the program. */
export function isLoaded(progId: number): boolean {
  try {
    BpfProgram.byId(progId).close();
    return true;
  } catch {
    return false; // ENOENT: the last reference is gone
  }
}

/** The files that an instance has on this host: pins and state. */
export function filesOf(instance: string): readonly string[] {
  return [`${PIN_ROOT}/${instance}`, `${RUN_ROOT}/${instance}`].flatMap((path) =>
    existsSync(path) ? [path, ...readdirSync(path).map((name) => `${path}/${name}`)] : [],
  );
}
