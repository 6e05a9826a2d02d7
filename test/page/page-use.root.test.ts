/*
 * The page in a real headless Chromium, as people use it: with a mouse, a keyboard, a phone, in light and dark. The lab
 * is that of robust-lab.ts.
 */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import type { Namespace } from '../lab/namespace.ts';
import type { Lab } from '../lab/topology.ts';
import { startEnforcer } from '../netns/enforcer.ts';
import { createRobustLab, FLAGS } from '../netns/robust-lab.ts';
import { Chromium } from './chromium.ts';
import { causeTraffic, curlAs, LONELY, openPage, rows, type Served, servedBy } from './page-lab.ts';
import { DESKTOP, PHONE, type Tab } from './tab.ts';

let lab: Lab;
let host: Namespace;
let chromium: Chromium;
let served: Served;

before(async () => {
  lab = await createRobustLab();
  host = lab.host;
  chromium = lab.use(new Chromium(host));
  served = await servedBy(await startEnforcer(host, [...FLAGS, '-ui=127.0.0.1:0']));
  await causeTraffic(host);
});
after(() => lab.close());

/** The part of the window that the page is wider than. */
function overflow(tab: Tab): Promise<unknown> {
  return tab.eval('document.documentElement.scrollWidth - document.documentElement.clientWidth');
}

describe('the page', () => {
  test('keeps its token out of the address bar, of URLs, and asks nobody else for anything', async (context) => {
    const tab = await openPage(context, chromium, served);
    assert.equal(await tab.eval('location.href'), `${served.origin}/`);
    assert.deepEqual(
      [...new Set(tab.requests.map((url) => url.split('?')[0]))].sort(),
      [
        ...['/', '/events', '/page.css', '/page.js'].map((path) => `${served.origin}${path}`),
        ...tab.requests.filter((url) => url.startsWith('data:')).slice(0, 1),
      ].sort(),
    );
    assert.equal(tab.requests.filter((url) => url.includes(served.token)).length, 1);
    await tab.call('Page.reload');
    await tab.until(
      'document.querySelectorAll("#events-body .row").length >= 8',
      'the events, after a reload',
    );
    assert.deepEqual(tab.complaints, []);
  });

  test('has each filter of observe, with its meaning and its errors', async (context) => {
    const tab = await openPage(context, chromium, served);
    const cases: readonly (readonly [filter: string, text: string, wants: RegExp])[] = [
      ['name', '**.no.example', /www\.no\.example/],
      ['to', '2001:db8:2::/64', /\[2001:db8:2::66\]:80/],
      ['port', '8443/tcp', /:8443\/tcp/],
      ['proto', 'udp', /\/udp/],
      ['process', 'npm,git', /(npm|git)\[/],
      ['rule', '.ok.example', /by -cn=\.ok\.example/],
    ];
    for (const [filter, text, wants] of cases) {
      await tab.fill(`#filter-${filter}`, text);
      await tab.until(`/ of /.test(document.querySelector("#size").textContent)`, `${filter} to be used`);
      const found = await rows(tab);
      assert.ok(found.length > 0, filter);
      for (const row of found) assert.match(row, wants, filter);
      await tab.click('#filter-clear');
      await tab.until('!/ of /.test(document.querySelector("#size").textContent)', 'all events');
    }
    await tab.click('#count-deny');
    await tab.until(
      '[...document.querySelectorAll("#events-body .row")].every((row) => row.dataset.verdict === "deny")',
      'denied ones',
    );
    assert.ok((await rows(tab)).length >= 4);
    await tab.fill('#filter-process', 'agent');
    await tab.fill('#filter-since', '1d');
    await tab.until(
      '[...document.querySelectorAll("#events-body .row")].every((row) => row.textContent.includes("agent["))',
      'of one process',
    );
    await tab.fill('#filter-since', '2099-01-01');
    await tab.until('!document.querySelector("#events-empty").hidden', 'no event');
    await tab.fill('#filter-since', 'yesterday');
    assert.match(await tab.text('#filter-error'), /"yesterday" is no time/);
    assert.equal(await tab.eval('document.querySelector("#filter-since").getAttribute("aria-invalid")'), '');
    assert.equal((await rows(tab)).length, 0, 'the filter before stays');
  });

  test('asks by a press on the map for the events of one place only', async (context) => {
    const tab = await openPage(context, chromium, served);
    await tab.until('document.querySelector(".place.process")', 'the map');
    await tab.eval(
      '[...document.querySelectorAll(".place.process")].find((e) => e.textContent.includes("git")).click()',
    );
    await tab.until('document.querySelector("#filter-process").value === "git"', 'the filter');
    await tab.until(
      '[...document.querySelectorAll("#events-body .row")].every((row) => row.textContent.includes("git["))',
      'its events only',
    );
    assert.ok((await rows(tab)).length > 0);
    await tab.eval(
      '[...document.querySelectorAll(".place.process")].find((e) => e.textContent.includes("git")).click()',
    );
    await tab.until('document.querySelector("#filter-process").value === ""', 'the filter to go');
  });

  test('pauses and goes on, and loses nothing by it', async (context) => {
    const tab = await openPage(context, chromium, served);
    await tab.click('#pause');
    const before = await rows(tab);
    await curlAs(host, 'paused', `http://${LONELY}:7001/`);
    await tab.until('/Resume \\([1-9]/.test(document.querySelector("#pause").textContent)', 'what waits');
    assert.deepEqual(await rows(tab), before);
    await tab.click('#pause');
    await tab.until('document.querySelector("#events-body").textContent.includes("paused[")', 'what waited');
  });
});

describe('the page can be used', () => {
  test('by keyboard alone', async (context) => {
    const tab = await openPage(context, chromium, served);
    await tab.press('/');
    assert.equal(await tab.eval('document.activeElement.id'), 'filter-name');
    await tab.write('**.example');
    await tab.until('document.querySelectorAll("#events-body .row").length < 8', 'fewer events');
    await tab.press('Escape');
    assert.equal(await tab.eval('document.activeElement.id'), 'events');
    await tab.press('ArrowDown');
    const first = await tab.eval('document.activeElement.getAttribute("aria-activedescendant")');
    assert.match(String(first), /^event-\d+$/);
    await tab.press('ArrowDown');
    assert.notEqual(await tab.eval('document.activeElement.getAttribute("aria-activedescendant")'), first);
    await tab.press('Home');
    assert.equal(await tab.eval('document.activeElement.getAttribute("aria-activedescendant")'), first);
    assert.equal(await tab.eval('document.querySelector("#events-body .row[aria-selected=true]").id'), first);
    await tab.press('Enter');
    assert.equal(await tab.eval('document.activeElement.id'), 'details-title');
    await tab.press('Escape');
    assert.equal(await tab.eval('document.querySelector("#details").hidden'), true);
    assert.equal(await tab.eval('document.activeElement.id'), 'events');
    await tab.press('p');
    await tab.until('document.querySelector("#pause").getAttribute("aria-pressed") === "true"', 'the pause');
    await tab.press('p');
    await tab.until('document.querySelector(".place")', 'the map');
    // Every control comes in its turn, and is seen when it does.
    await tab.eval('document.querySelector(".skip").focus()');
    const seen: string[] = ['skip'];
    for (let step = 0; step < 60; step += 1) {
      await tab.press('Tab');
      const at = await tab.eval('document.activeElement.id || document.activeElement.className');
      const outline = await tab.eval('getComputedStyle(document.activeElement).outlineStyle');
      if (at === '') break;
      assert.equal(outline, 'solid', `${at} shows that it has the keyboard`);
      seen.push(String(at));
    }
    for (const id of [
      'skip',
      'subjects-title',
      'count-allow',
      'count-deny',
      'pause',
      'theme',
      'filter-name',
      'filter-since',
      'filter-clear',
      'timeline-width',
      'events',
    ])
      assert.ok(seen.includes(id), `${id} in ${seen.join(' ')}`);
    assert.ok(
      seen.some((at) => at.startsWith('place')),
      'places of the map',
    );
    assert.ok(
      seen.indexOf('pause') < seen.indexOf('filter-name') &&
        seen.indexOf('filter-name') < seen.indexOf('events'),
    );
  });

  test('on a phone, with nothing beside the window', async (context) => {
    const tab = await openPage(context, chromium, served);
    for (const size of [PHONE, { width: 320, height: 640 }, { width: 768, height: 1024 }, DESKTOP]) {
      await tab.resize(size);
      await tab.until(`innerWidth === ${size.width}`, 'the size');
      assert.equal(await overflow(tab), 0, `${size.width} pixels`);
    }
    await tab.resize(PHONE);
    await tab.click('#filter-toggle');
    await tab.until('document.querySelector("#filter-name").offsetParent !== null', 'the filters');
    assert.equal(await overflow(tab), 0);
    await tab.click('#filter-toggle');
    await tab.click('#events-body .row[data-verdict="deny"]');
    await tab.until('!document.querySelector("#details").hidden', 'the details');
    assert.equal(await overflow(tab), 0);
    assert.equal(
      await tab.eval('document.querySelector("#details").getBoundingClientRect().width'),
      PHONE.width,
    );
    await tab.click('#details-close');
    await tab.until('document.querySelector("#details").hidden', 'the details to close');
  });

  test('light and dark, as the system or the switch says, with texts that stand out', async (context) => {
    const tab = await openPage(context, chromium, served);
    await tab.click('#events-body .row[data-verdict="deny"]');
    const ground = () => tab.eval('getComputedStyle(document.body).backgroundColor');
    const seen = new Map<string, unknown>();
    for (const scheme of ['light', 'dark']) {
      await tab.prefer({ 'prefers-color-scheme': scheme });
      seen.set(scheme, await ground());
      assert.deepEqual(await tab.eval(FAINT_TEXTS), [], scheme);
    }
    assert.notEqual(seen.get('light'), seen.get('dark'));
    await tab.click('#theme');
    assert.equal(await ground(), seen.get('light'));
    await tab.click('#theme');
    await tab.prefer({ 'prefers-color-scheme': 'light' });
    assert.equal(await ground(), seen.get('dark'));
    await tab.click('#theme');
    assert.equal(await ground(), seen.get('light'));
  });

  test('with nothing that moves, and verdicts told by more than colours', async (context) => {
    const tab = await openPage(context, chromium, served);
    await tab.prefer({ 'prefers-reduced-motion': 'reduce' });
    assert.equal(await tab.eval('document.getAnimations().length'), 0);
    await tab.prefer({ 'prefers-reduced-motion': 'no-preference' });
    assert.notEqual(await tab.eval('document.getAnimations().length'), 0);
    await tab.until(
      'document.querySelector(".edge.allow") && document.querySelector(".edge.deny")',
      'both kinds of lines',
    );
    const dashes = await tab.eval(
      '["allow", "deny"].map((v) => getComputedStyle(document.querySelector(".edge." + v)).strokeDasharray)',
    );
    assert.ok(Array.isArray(dashes) && dashes[0] !== dashes[1], `${dashes}`);
    const unnamed = await tab.eval(
      '[...document.querySelectorAll("button, input, [role=grid], [role=img]")].filter((e) => !(e.textContent.trim() || e.getAttribute("aria-label") || e.labels?.length)).map((e) => e.outerHTML)',
    );
    assert.deepEqual(unnamed, []);
  });
});

/*
 * Texts whose contrast with what is behind them is below 4.5 (WCAG 2.2, 1.4.3), with that contrast. Chromium gives
 * colours as rgb() or, mixed ones, as color(srgb …).
 */
const FAINT_TEXTS = `(() => {
  const parse = (text) => {
    const numbers = text.match(/[\\d.]+/g).map(Number);
    const scale = text.startsWith('color') ? 255 : 1;
    return { rgb: numbers.slice(0, 3).map((n) => n * scale), alpha: numbers[3] ?? 1 };
  };
  const luminance = ({ rgb }) => {
    const [r, g, b] = rgb.map((n) => n / 255).map((c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const behind = (e) => {
    for (let at = e; at; at = at.parentElement) {
      const colour = parse(getComputedStyle(at).backgroundColor);
      if (colour.alpha > 0.99) return colour;
    }
    return { rgb: [255, 255, 255] };
  };
  const faint = [];
  for (const e of document.querySelectorAll('body *')) {
    const hasText = [...e.childNodes].some((n) => n.nodeType === 3 && n.data.trim() !== '');
    if (!hasText || e.offsetParent === null || e.disabled) continue;
    const [a, b] = [luminance(parse(getComputedStyle(e).color)), luminance(behind(e))].sort((x, y) => y - x);
    const contrast = (a + 0.05) / (b + 0.05);
    if (contrast < 4.5) faint.push(e.tagName + '.' + e.className + ' ' + contrast.toFixed(2));
  }
  return faint;
})()`;
