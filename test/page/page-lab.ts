/*
 * What the tests of the page look at: an enforcer in the lab of robust-lab.ts, its page in Chromium, both on the
 * loopback of the host's namespace.
 */
import assert from 'node:assert/strict';
import { copyFileSync } from 'node:fs';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import type { RunResult } from '../lab/command.ts';
import type { Namespace } from '../lab/namespace.ts';
import type { RunningEnforcer } from '../netns/enforcer.ts';
import { ALLOWED, FLAGS, startFor } from '../netns/robust-lab.ts';
import type { Chromium } from './chromium.ts';
import { openTab, type Tab } from './tab.ts';

const LIMIT_MS = 5_000;

/** An enforcer that serves its page. */
export interface Served {
  readonly enforcer: RunningEnforcer;
  /** With the token. */
  readonly url: string;
  readonly origin: string;
  readonly token: string;
  readonly port: number;
}

/** Starts one that ends with the test; `flags` are added to those of the lab. */
export async function servePage(
  context: TestContext,
  host: Namespace,
  flags: readonly string[] = [],
  more: { readonly ui?: string; readonly instance?: string } = {},
): Promise<Served> {
  const { ui = '127.0.0.1:0', ...options } = more;
  const enforcer = await startFor(context, host, [...FLAGS, ...flags, `-ui=${ui}`], options);
  return servedBy(enforcer);
}

/** What an enforcer says of its page. */
export async function servedBy(enforcer: RunningEnforcer): Promise<Served> {
  const { text } = await enforcer.process.waitForLine(/^the page is at /, LIMIT_MS);
  const [, url = '', origin = '', port = '', token = ''] =
    /^the page is at ((http:\/\/[^/]+:(\d+))\/\?token=([\w-]+))$/.exec(text) ?? [];
  assert.notEqual(token, '', text);
  return { enforcer, url, origin, token, port: Number(port) };
}

/** Runs curl under another name, as any program may be called. */
export function curlAs(host: Namespace, name: string, ...args: readonly string[]): Promise<RunResult> {
  const path = join(host.directory, name);
  copyFileSync('/usr/bin/curl', path);
  return host.runAsync(path, ['-s', '-m', '2', '-o', '/dev/null', ...args]);
}

/** Nothing has this address for its name, and nothing allows it. */
export const LONELY = '203.0.113.70';
/** A name that nothing allows. */
export const TRACKER = 'www.no.example';
const LONELY_V6 = '2001:db8:2::66';

/** Attempts of each kind: by name and by address, allowed and denied, TCP and UDP, both families. */
export async function causeTraffic(host: Namespace): Promise<void> {
  await curlAs(host, 'npm', `http://${ALLOWED}/`);
  await curlAs(host, 'git', `http://${ALLOWED}:443/`);
  await curlAs(host, 'agent', `http://${TRACKER}/`);
  await curlAs(host, 'agent', `http://${LONELY}:8443/`);
  await curlAs(host, 'agent', `http://[${LONELY_V6}]/`);
  await host.runAsync('sh', ['-c', `echo x | socat -u - UDP:${LONELY}:9`]);
}

/** A tab that closes with the test. */
export async function openTabFor(context: TestContext, chromium: Chromium): Promise<Tab> {
  const tab = await openTab(chromium);
  context.after(() => tab.close());
  return tab;
}

/** The page in a tab of its own, once it shows that traffic. */
export async function openPage(context: TestContext, chromium: Chromium, { url }: Served): Promise<Tab> {
  const tab = await openTabFor(context, chromium);
  await tab.open(url);
  await tab.until('document.querySelectorAll("#events-body .row").length >= 8', 'the events');
  return tab;
}

/** The texts of the rows in the table, cell by cell. */
export function rows(tab: Tab): Promise<string[]> {
  return tab.texts('#events-body .row');
}
