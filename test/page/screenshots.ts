/*
 * screenshots.js DIRECTORY: pictures of the page, light, dark and on a phone, of real traffic in the lab.
 */
import { copyFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { Scope } from '../../src/scope.ts';
import { findCli } from '../lab/checkout.ts';
import type { Namespace } from '../lab/namespace.ts';
import { addressRecords } from '../lab/records.ts';
import { startEnforcer } from '../netns/enforcer.ts';
import { createRobustLab } from '../netns/robust-lab.ts';
import { Chromium } from './chromium.ts';
import { servedBy } from './page-lab.ts';
import { withPalette } from './palette-png.ts';
import { openTab, PHONE, type Tab } from './tab.ts';

/** Program, URL, and in every which round. */
const TRAFFIC: readonly (readonly [program: string, url: string, every: number])[] = [
  ['npm', 'http://registry.npmjs.org:443/', 1],
  ['git', 'http://github.com:443/', 3],
  ['git', 'http://objects.githubusercontent.com:443/', 5],
  ['apt', 'http://deb.debian.org/', 2],
  ['apt', 'http://security.debian.org/', 4],
  ['pip', 'http://files.pythonhosted.org:443/', 2],
  ['node', 'http://registry.npmjs.org:443/', 3],
  ['node', 'http://telemetry.tracker.example:443/', 7],
  ['agent', 'http://paste.example:443/', 9],
  ['agent', 'http://203.0.113.99:4444/', 8],
  ['pip', 'http://mirror.example.net/', 11],
  ['curl', 'http://169.254.169.254/', 13],
];
/** Asked for last, and shown as a whole. */
const LAST_PORT = '8443';
const LAST_URL = `http://telemetry.tracker.example:${LAST_PORT}/`;
const RECORDS = [
  ...addressRecords('registry.npmjs.org', ['198.51.100.16']),
  ...addressRecords('github.com', ['198.51.100.4']),
  ...addressRecords('objects.githubusercontent.com', ['198.51.100.133']),
  ...addressRecords('deb.debian.org', ['198.51.100.132', '2001:db8:2::132']),
  ...addressRecords('security.debian.org', ['198.51.100.135']),
  ...addressRecords('files.pythonhosted.org', ['198.51.100.63']),
  ...addressRecords('telemetry.tracker.example', ['203.0.113.31']),
  ...addressRecords('paste.example', ['203.0.113.40']),
  ...addressRecords('mirror.example.net', ['203.0.113.12']),
];
const FLAGS = [
  '-iface=eth0',
  '-eface=eth0',
  '-cn=.debian.org,.npmjs.org,github.com,.githubusercontent.com,.pythonhosted.org',
  '-ui=127.0.0.1:0',
];
const INSTANCE = 'ci-runner';
/** A round a second: the timeline is to have something to show. */
const ROUNDS = 42;
const ROUND_MS = 1_000;
const WINDOW = { width: 1360, height: 1000 };

async function causeTraffic(host: Namespace): Promise<void> {
  for (const [program] of TRAFFIC) copyFileSync('/usr/bin/curl', join(host.directory, program));
  for (let round = 0; round < ROUNDS; round += 1) {
    const begun = performance.now();
    await Promise.all(
      TRAFFIC.filter(([, , every], index) => (round + index) % every === 0).map(([program, url]) =>
        host.runAsync(join(host.directory, program), ['-4', '-s', '-m', '1', '-o', '/dev/null', url]),
      ),
    );
    await pause(Math.max(0, ROUND_MS - (performance.now() - begun)));
  }
}

async function shoot(tab: Tab, scheme: string, path: string): Promise<void> {
  await tab.prefer({ 'prefers-color-scheme': scheme, 'prefers-reduced-motion': 'reduce' });
  writeFileSync(path, withPalette(await tab.screenshot()));
  process.stdout.write(`${path}\n`);
}

const [, , directory = 'docs'] = process.argv;
using scope = new Scope();
const lab = scope.use(await createRobustLab(RECORDS));
scope.defer(() => lab.host.run(findCli(), ['clean', `-instance=${INSTANCE}`]));
const { url } = await servedBy(await startEnforcer(lab.host, FLAGS, { instance: INSTANCE }));
const chromium = scope.use(new Chromium(lab.host));
const tab = await openTab(chromium, WINDOW);
await tab.open(url);
await causeTraffic(lab.host);
await tab.until('document.querySelectorAll(".place.address").length >= 10', 'the map of all the traffic');
await lab.host.runAsync(join(lab.host.directory, 'node'), ['-4', '-s', LAST_URL]);
const row = `[...document.querySelectorAll('#events-body .row')].find((row) => row.textContent.includes('${LAST_PORT}'))`;
await tab.until(row, 'the last event');
await tab.eval(`${row}.click()`);
await shoot(tab, 'light', join(directory, 'page-light.png'));
await shoot(tab, 'dark', join(directory, 'page-dark.png'));
await tab.click('#details-close');
await tab.resize(PHONE);
await shoot(tab, 'light', join(directory, 'page-phone.png'));
