/*
 * Much, and evil, in the page: ten thousand events without a stutter, and texts that try to be more than texts. The
 * lab is that of robust-lab.ts.
 */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { Namespace } from '../lab/namespace.ts';
import type { Lab } from '../lab/topology.ts';
import { createRobustLab } from '../netns/robust-lab.ts';
import { causeEvents } from '../netns/robust-unread.ts';
import { Chromium } from './chromium.ts';
import { curlAs, openTabFor, servePage } from './page-lab.ts';

const EVENTS = 10_000;
const LIMIT_MS = 30_000;
const LONGEST_TASK_MS = 200;
const MOST_ELEMENTS = 1_500;

let lab: Lab;
let host: Namespace;
let chromium: Chromium;

before(async () => {
  lab = await createRobustLab();
  host = lab.host;
  chromium = lab.use(new Chromium(host));
});
after(() => lab.close());

test('ten thousand events in seconds hold up no frame for long, and the page stays small', async (context) => {
  const { url } = await servePage(context, host);
  const tab = await openTabFor(context, chromium);
  await tab.open(url);
  await tab.until('document.querySelector("#line").dataset.line === "live"', 'the line');
  // What the browser needs to begin with is not what is measured.
  await causeEvents(host, 0, 500);
  await tab.until('document.querySelectorAll("#events-body .row").length > 5', 'the first events');
  await tab.eval(`
    window.longest = 0;
    window.most = 0;
    new PerformanceObserver((list) => {
      for (const { duration } of list.getEntries()) window.longest = Math.max(window.longest, duration);
    }).observe({ type: 'longtask' });
    setInterval(() => { window.most = Math.max(window.most, document.querySelectorAll('*').length); }, 100);
    setTimeout(() => { for (const end = performance.now() + 100; performance.now() < end; ); });
    undefined`);
  await tab.until('window.longest >= 100', 'a task of 100 ms to be seen');
  await tab.eval('window.longest = 0');
  const started = performance.now();
  await causeEvents(host, 1_000, EVENTS);
  await tab.until(
    `Number(document.querySelector("#number-deny").textContent.replaceAll(",", "")) >= ${EVENTS}`,
    'all events',
    LIMIT_MS,
  );
  const seconds = (performance.now() - started) / 1_000;
  const longest = Number(await tab.eval('window.longest'));
  const most = Number(await tab.eval('window.most'));
  context.diagnostic(
    `${EVENTS} events in ${seconds.toFixed(1)} s: longest task ${longest} ms, ${most} elements`,
  );
  assert.ok(seconds < 60, `${seconds} s`);
  assert.ok(longest < LONGEST_TASK_MS, `a task took ${longest} ms`);
  assert.ok(most > 100 && most < MOST_ELEMENTS, `${most} elements`);
  // All of them are there to be looked at: from the last row to the first.
  await tab.eval('document.querySelector("#events").focus()');
  await tab.press('End');
  await tab.until(
    'Number(document.querySelector("#events-body .row[aria-selected=true]")?.getAttribute("aria-rowindex")) > 10000',
    'the oldest event',
  );
  assert.ok((await tab.texts('#events-body .row')).length < 80);
});

test('texts from outside stay texts', async (context) => {
  const { url, enforcer } = await servePage(context, host, ['-dns=strict']);
  const name = '<img/src=x/onerror=alert(1)>.evil.example';
  const programs = ['<img onerror=1>', 'x\u202egnp.exe', 'two\nlines'];
  for (const [index, program] of programs.entries())
    await curlAs(host, program.replaceAll('/', ''), `http://203.0.113.9${index}/`);
  await host.runAsync('dig', ['+tries=1', '+time=1', '@192.0.2.53', name]);
  await enforcer.waitForEvent(({ qname }) => qname?.includes('onerror') === true);
  const tab = await openTabFor(context, chromium);
  await tab.open(url);
  await tab.until(
    'document.querySelector("#events-body").textContent.includes("onerror=alert(1)")',
    'the name',
  );
  await tab.until('document.querySelectorAll(".place.process").length >= 4', 'the map');
  for (const text of [
    (await tab.texts('#events-body .row')).join('\n'),
    (await tab.texts('.place .label')).join(' '),
  ]) {
    assert.ok(text.includes('<img onerror=1>'), text);
    assert.ok(text.includes('x\\u{202e}gnp.exe'), text);
    assert.ok(text.includes('two\\x0alines'), text);
  }
  const rows = Number(await tab.eval('document.querySelectorAll("#events-body .row").length'));
  for (let index = 0; index < rows; index += 1) {
    await tab.eval(`document.querySelectorAll("#events-body .row")[${index}].click()`);
    const shown = await tab.text('#details');
    assert.doesNotMatch(shown, /\p{Cf}/u);
    if (index === 0) assert.notEqual(shown, '');
  }
  assert.equal(
    await tab.eval('document.querySelectorAll("img, iframe, #events script, #map-places script").length'),
    0,
  );
  assert.deepEqual(tab.complaints, []);
  // A press on such a place asks for it, or says why it can't.
  await tab.eval(
    '[...document.querySelectorAll(".place.name")].find((e) => e.textContent.includes("onerror")).click()',
  );
  assert.match(await tab.text('#filter-error'), /onerror/);
});
