/*
 * The page in a real headless Chromium and the enforcer that it is of: what it shows, and what happens when one of the
 * two, or the line between them, goes. The lab is that of robust-lab.ts.
 */
import assert from 'node:assert/strict';
import { after, before, describe, type TestContext, test } from 'node:test';
import { readPolicies } from '../../src/formats/read-policies.ts';
import { isByAddress } from '../../src/policy/who.ts';
import { curl } from '../lab/clients.ts';
import type { Namespace } from '../lab/namespace.ts';
import type { Lab } from '../lab/topology.ts';
import { ALLOWED, ALLOWED_ADDRESS, createRobustLab, newInstance } from '../netns/robust-lab.ts';
import { Chromium } from './chromium.ts';
import {
  causeTraffic,
  curlAs,
  LONELY,
  openPage,
  openTabFor,
  rows,
  type Served,
  servePage,
  TRACKER,
} from './page-lab.ts';

const LIMIT_MS = 15_000;

let lab: Lab;
let host: Namespace;
let chromium: Chromium;

before(async () => {
  lab = await createRobustLab();
  host = lab.host;
  chromium = lab.use(new Chromium(host));
});
after(() => lab.close());

/** An enforcer that ends with the test, and traffic. */
async function serve(context: TestContext, flags: readonly string[] = []): Promise<Served> {
  const served = await servePage(context, host, flags);
  await causeTraffic(host);
  return served;
}

describe('the page', () => {
  test('shows events in the table, the map and the timeline, from the past and as they come', async (context) => {
    const tab = await openPage(context, chromium, await serve(context));
    const table = await rows(tab);
    assert.ok(
      table.some((row) => row.includes('npm[') && row.includes(ALLOWED) && row.includes('allow')),
      table.join('\n'),
    );
    assert.ok(
      table.some(
        (row) => row.includes('agent[') && row.includes(`${LONELY}:8443/tcp`) && row.includes('deny'),
      ),
    );
    await tab.until('document.querySelectorAll(".place").length >= 8', 'the map');
    assert.deepEqual((await tab.texts('.place.process .label')).sort(), ['agent', 'git', 'npm', 'socat']);
    assert.ok((await tab.texts('.place.name .label')).includes(TRACKER));
    assert.ok((await tab.texts('.place.address .label')).includes(ALLOWED_ADDRESS));
    await tab.until(
      'document.querySelector(".edge.allow") && document.querySelector(".edge.deny")',
      'both kinds of lines',
    );
    await tab.until(
      '[...document.querySelectorAll(".bar.deny")].some((bar) => bar.getAttribute("height") > 0)',
      'a bar',
    );
    assert.match(
      await tab.text('#timeline-caption'),
      /[1-9]\d* allowed · [1-9]\d* denied · 0 would be denied/,
    );
    await curlAs(host, 'late', `http://${LONELY}:7777/`);
    await tab.until('document.querySelector("#events-body").textContent.includes("late[")', 'a live event');
    await tab.until(
      '[...document.querySelectorAll(".place .label")].some((e) => e.textContent === "late")',
      'its place',
    );
    assert.equal(await tab.text('#instance'), await tab.eval('document.title.slice(6)'));
    assert.equal(await tab.text('#mode'), 'enforcing');
    assert.equal(await tab.text('#line'), 'Live');
    assert.equal(await tab.text('#number-lost'), '0');
  });

  test('shows all fields of an event, and a rule that allows it when it is given', async (context) => {
    const served = await serve(context);
    const tab = await openPage(context, chromium, served);
    await tab.fill('#filter-name', TRACKER);
    await tab.click('#count-deny');
    await tab.until('document.querySelectorAll("#events-body .row").length === 1', 'one event');
    await tab.click('#events-body .row');
    await tab.until('!document.querySelector("#details").hidden', 'the details');
    const fields = await tab.texts('#details dt');
    const told = served.enforcer.events().find(({ names }) => names?.includes(TRACKER));
    assert.ok(told);
    assert.deepEqual(
      fields.sort(),
      Object.keys(told)
        .filter((key) => String(Reflect.get(told, key)) !== '')
        .sort(),
    );
    const flag = await tab.text('#allow-flags');
    const policy = await tab.text('#allow-policy');
    assert.equal(flag, `-name=${TRACKER}`);
    const permissions = ['clipboardReadWrite', 'clipboardSanitizedWrite'];
    await chromium.call('Browser.grantPermissions', { origin: served.origin, permissions });
    await tab.click('.snippet button');
    await tab.until('document.querySelector(".snippet button").textContent === "Copied"', 'the copy');
    assert.equal(await tab.eval('navigator.clipboard.readText()'), flag);
    const { parts } = await readPolicies([{ file: 'copied.yaml', text: policy }], { lenient: false });
    assert.deepEqual(
      parts.flatMap(({ rules }) => rules.map(({ who }) => !isByAddress(who) && who.kind)),
      ['exact'],
    );
    assert.notEqual((await curl(host, `http://${TRACKER}/`)).exitCode, 0, 'the page has changed nothing');
    await served.enforcer.stop();
    await servePage(context, host, [flag]);
    assert.equal((await curl(host, `http://${TRACKER}/`)).exitCode, 0);
  });

  test('tells of the end of the enforcer, and then no more that it is in force', async (context) => {
    const served = await serve(context);
    const tab = await openPage(context, chromium, served);
    assert.equal(await tab.eval('document.querySelector("#mode").hasAttribute("data-stale")'), false);
    assert.equal((await served.enforcer.stop()).code, 0);
    await tab.until(
      'document.querySelector("#events-body").textContent.includes("stopping:")',
      'the last event',
    );
    await tab.until('document.querySelector("#mode").hasAttribute("data-stale")', 'the mark');
    assert.equal(await tab.eval('document.querySelector("#line").dataset.line'), 'lost');
  });

  test('goes on after a restart of the enforcer, with its new token, and keeps what it has', async (context) => {
    const instance = newInstance();
    const first = await servePage(context, host, [], { instance });
    await curlAs(host, 'before', `http://${LONELY}:7002/`);
    const tab = await openTabFor(context, chromium);
    await tab.open(first.url);
    await tab.until(
      'document.querySelector("#events-body").textContent.includes("before[")',
      'the first event',
    );
    first.enforcer.process.kill('SIGKILL');
    await first.enforcer.process.exited;
    await tab.until('document.querySelector("#line").dataset.line === "lost"', 'the loss of the line');
    const second = await servePage(context, host, [], { instance, ui: `127.0.0.1:${first.port}` });
    await tab.until('!document.querySelector("#gate").hidden', 'the question for a token', LIMIT_MS);
    await tab.fill('#gate-token', second.url);
    await tab.click('#gate button');
    await tab.until('document.querySelector("#line").dataset.line === "live"', 'the line');
    await curlAs(host, 'after', `http://${LONELY}:7003/`);
    await tab.until(
      'document.querySelector("#events-body").textContent.includes("after[")',
      'an event of the new run',
    );
    assert.ok((await rows(tab)).some((row) => row.includes('before[')));
    assert.equal(await tab.eval('document.querySelector("#gate").hidden'), true);
  });

  test('goes on where the line breaks, with no event twice and none left out', async (context) => {
    const served = await serve(context);
    const tab = await openPage(context, chromium, served);
    await tab.call('Network.emulateNetworkConditions', {
      offline: true,
      latency: 0,
      downloadThroughput: -1,
      uploadThroughput: -1,
    });
    const seqs =
      'JSON.stringify([...document.querySelectorAll("#events-body .row")].map((row) => Number(row.id.slice(6))))';
    // Offline does not end what is open, so the server's side is ended.
    await host.runAsync('ss', ['-K', 'sport', '=', `:${served.port}`]);
    await tab.until('document.querySelector("#line").dataset.line === "lost"', 'the loss of the line');
    for (const port of [7101, 7102, 7103]) await curlAs(host, `away${port}`, `http://${LONELY}:${port}/`);
    await tab.call('Network.emulateNetworkConditions', {
      offline: false,
      latency: 0,
      downloadThroughput: -1,
      uploadThroughput: -1,
    });
    await tab.until(
      'document.querySelector("#events-body").textContent.includes("away7103[")',
      'what came meanwhile',
      LIMIT_MS,
    );
    const text = (await rows(tab)).join('\n');
    for (const port of [7101, 7102, 7103])
      assert.equal(text.split(`away${port}[`).length, 2, `once, port ${port}`);
    const ordinals: unknown = JSON.parse(String(await tab.eval(seqs)));
    assert.ok(Array.isArray(ordinals) && ordinals.length === served.enforcer.events().length, `${ordinals}`);
    assert.equal(await tab.text('#number-lost'), '0');
  });

  test('says that it audits, and what would be denied', async (context) => {
    const tab = await openPage(context, chromium, await serve(context, ['-audit']));
    assert.equal(await tab.text('#mode'), 'audit');
    await tab.until('document.querySelector(".edge.would_deny")', 'the lines of what would be denied');
    assert.notEqual(await tab.text('#number-would_deny'), '0');
    assert.equal(await tab.text('#number-deny'), '0');
  });
});
