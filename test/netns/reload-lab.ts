/*
 * The lab of the tests that change policies while they are in force: that of robust-lab.ts, with policy files.
 *
 * Addresses that answer on ports 80, 443, 8443 (HTTP) and 7 (TCP echo): all of 198.51.100.0/24 and 203.0.113.0/24.
 */
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, renameSync, rmdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { RunDir } from '../../src/enforcer/run-dir.ts';
import type { Status } from '../../src/enforcer/status.ts';
import { needCgroup2 } from '../../src/libbpf/cgroup2.ts';
import type { RunResult } from '../lab/command.ts';
import type { Namespace } from '../lab/namespace.ts';
import { until } from '../lab/wait.ts';
import type { EnforcerOptions, RunningEnforcer } from './enforcer.ts';
import { l7egg, newInstance, startFor } from './robust-lab.ts';

/** Allowed by ONE, ANOTHER and THIRD, in this order. */
export const ONE = '198.51.100.1';
export const ANOTHER = '198.51.100.2';
export const THIRD = '198.51.100.3';

/** How long a change of a file may take to be in force: it is left alone for 200 ms first. */
export const NOTICED_MS = 5_000;

/** A policy file; each rule is a line of YAML in flow style. */
export function policyText(rules: readonly string[], settings: readonly string[] = []): string {
  return [
    'apiVersion: l7egg/v1',
    'kind: EgressPolicy',
    'name: test',
    ...settings,
    rules.length > 0 ? 'rules:' : 'rules: []',
    ...rules.map((rule) => `  - ${rule}`),
    '',
  ].join('\n');
}

/** A rule for these addresses, by this name. */
export function allow(name: string, ...cidrs: readonly string[]): string {
  return `{name: ${name}, cidrs: [${cidrs.map((cidr) => `'${cidr}'`).join(', ')}]}`;
}

/** A directory for policy files that goes with the namespace. */
export function makeDirectory(namespace: Namespace): string {
  return mkdtempSync(join(namespace.directory, 'policy-'));
}

/** Puts a file in the place of the one that was there, in one step. */
export function replaceFile(path: string, text: string): void {
  writeFileSync(`${path}.new`, text);
  renameSync(`${path}.new`, path);
}

/** Starts an enforcer of eth0 by policy files; it ends with the test. */
export function startByFiles(
  context: TestContext,
  namespace: Namespace,
  files: readonly string[],
  flags: readonly string[] = [],
  options: EnforcerOptions = {},
): Promise<RunningEnforcer> {
  const words = files.map((file) => `-policy=${file}`);
  return startFor(context, namespace, ['-iface=eth0', '-eface=eth0', ...words, ...flags], options);
}

/** Runs `reload` for an enforcer, to its end. */
export function reload(namespace: Namespace, { instance }: RunningEnforcer): Promise<RunResult> {
  return l7egg(namespace, 'reload', `-instance=${instance}`);
}

/** As `reload`, which has to succeed. */
export async function mustReload(namespace: Namespace, enforcer: RunningEnforcer): Promise<string> {
  const { code, stdout, stderr } = await reload(namespace, enforcer);
  assert.equal(code, 0, `reload ended with ${code}\n${stdout}${stderr}`);
  return stdout;
}

/** What `status -json` says. */
export async function statusOf(namespace: Namespace, { instance }: RunningEnforcer): Promise<Status> {
  const { stdout } = await l7egg(namespace, 'status', '-json', `-instance=${instance}`);
  const status: Status = JSON.parse(stdout);
  return status;
}

/** The epoch of the slot in force, as it is written down. */
export function epochOf({ instance }: RunningEnforcer): number | undefined {
  return new RunDir(instance).readRecord()?.epoch;
}

/** Resolves once the enforcer has said that it took a change over; only what it says after `mark` counts. */
export async function untilReloaded(enforcer: RunningEnforcer, mark: number): Promise<void> {
  await enforcer.process.waitForLine(/^reloaded$/, NOTICED_MS, mark);
}

/** Resolves once the enforcer has said that it did not. */
export async function untilRefused(enforcer: RunningEnforcer, mark: number): Promise<void> {
  await enforcer.process.waitForLine(/^NOT reloaded/, NOTICED_MS, mark);
}

/** A cgroup of a test. */
export interface JudgedCgroup {
  /** Its directory. */
  readonly path: string;
  /** As policy files name it. */
  readonly subject: string;
}

/** A cgroup that goes with the test, and after the enforcer. */
export function makeCgroup(context: TestContext): JudgedCgroup {
  const name = `/${newInstance()}`;
  const path = `${needCgroup2()}${name}`;
  mkdirSync(path);
  context.after(() => until(() => isRemoved(path), { limitMs: NOTICED_MS, what: `the end of ${path}` }));
  return { path, subject: `cgroup:${name}` };
}

function isRemoved(path: string): boolean {
  try {
    rmdirSync(path);
    return true;
  } catch {
    return false; // EBUSY: its last process is just ending
  }
}
