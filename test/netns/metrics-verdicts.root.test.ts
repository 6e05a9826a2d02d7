/*
 * What the metrics of a running enforcer count of verdicts, held against what was sent. The lab is that of robust-lab.ts.
 */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { createCgroup } from '../lab/cgroup.ts';
import { curl } from '../lab/clients.ts';
import type { Namespace } from '../lab/namespace.ts';
import type { Lab } from '../lab/topology.ts';
import { type Exposition, findSamples, sumOf } from '../metrics/exposition.ts';
import { listed, OF_HOST, scrapeUntil, startMetered } from './metrics-lab.ts';
import { ALLOWED, ALLOWED_ADDRESS, BLOCKED, createRobustLab, FLAGS, isOpen, OTHER } from './robust-lab.ts';
import { causeEvents } from './robust-unread.ts';

const RULE = '-cn=.ok.example';

let lab: Lab;
let host: Namespace;

before(async () => {
  lab = await createRobustLab();
  host = lab.host;
});
after(() => lab.close());

describe('verdicts', () => {
  test('go up by exactly what was sent, allowed and refused', async (context) => {
    const metered = await startMetered(context, host);
    const counts = (metrics: Exposition) => ({
      allowed: sumOf(metrics, 'l7egg_verdicts_total', {
        verdict: 'allow',
        reason: 'rule-name',
        rule: RULE,
        ...OF_HOST,
      }),
      refused: sumOf(metrics, 'l7egg_verdicts_total', {
        verdict: 'deny',
        reason: 'no-rule',
        rule: '',
        ...OF_HOST,
      }),
      all: sumOf(metrics, 'l7egg_verdicts_total'),
    });
    assert.deepEqual(counts(await metered.scrape()), { allowed: 0, refused: 0, all: 0 });
    for (let sent = 0; sent < 5; sent++) assert.equal(await isOpen(host, ALLOWED), true);
    await scrapeUntil(metered, 'five flows', (found) => counts(found).all >= 5);
    assert.deepEqual(counts(await metered.scrape()), { allowed: 5, refused: 0, all: 5 });
    await causeEvents(host, 0, 300);
    await scrapeUntil(metered, '300 refusals', (found) => counts(found).all >= 305);
    const metrics = await metered.scrape();
    assert.deepEqual(counts(metrics), { allowed: 5, refused: 300, all: 305 });
    assert.equal(sumOf(metrics, 'l7egg_ring_lost_events_total'), 0);
  });

  test('count every packet of a series that is told in two events', async (context) => {
    const metered = await startMetered(context, host);
    // One program, so that it is one series: ten packets at once, and one after the second for which they are counted.
    const one = `echo x >/dev/udp/${BLOCKED}/9`;
    const sender = host.spawn('bash', ['-c', `for i in {1..10}; do ${one}; done; sleep 1.2; ${one}`]);
    assert.equal((await sender.exited).code, 0);
    const metrics = await scrapeUntil(
      metered,
      'the last packet',
      (found) => sumOf(found, 'l7egg_verdicts_total', { verdict: 'deny' }) > 1,
    );
    assert.equal(sumOf(metrics, 'l7egg_events_total', { kind: 'flow' }), 2);
    assert.equal(sumOf(metrics, 'l7egg_verdicts_total', { verdict: 'deny' }), 11);
    assert.equal(sumOf(metrics, 'l7egg_common_name_total_requests', { cidr: BLOCKED, port: '9' }), 11);
    assert.equal(sumOf(metrics, 'l7egg_datapath_total', { counter: 'refused' }), 11);
  });

  test('are would_deny under audit', async (context) => {
    const metered = await startMetered(context, host, [...FLAGS, '-audit']);
    assert.equal(await isOpen(host, BLOCKED), true);
    const metrics = await scrapeUntil(
      metered,
      'a verdict',
      (found) => sumOf(found, 'l7egg_verdicts_total', { verdict: 'would_deny' }) > 0,
    );
    assert.equal(sumOf(metrics, 'l7egg_verdicts_total', { verdict: 'deny' }), 0);
  });

  test('have the words of their rule, whatever is in them', async (context) => {
    const file = join(host.directory, `odd-${process.pid}.yaml`);
    const name = 'a "rule" with \\ and {} = ,';
    writeFileSync(
      file,
      JSON.stringify({
        apiVersion: 'l7egg/v1',
        kind: 'EgressPolicy',
        rules: [{ name, cidrs: [`${BLOCKED}/32`] }],
      }),
    );
    const metered = await startMetered(context, host, [...FLAGS.slice(0, 2), `-policy=${file}`]);
    assert.equal(await isOpen(host, BLOCKED), true);
    const metrics = await scrapeUntil(
      metered,
      'a verdict of the rule',
      (found) => sumOf(found, 'l7egg_verdicts_total') > 0 && sumOf(found, 'l7egg_rule_allowed_total') > 0,
    );
    assert.deepEqual(listed(metrics, 'l7egg_verdicts_total'), [`allow|rule-cidr|${name}|host|1`]);
    assert.deepEqual(listed(metrics, 'l7egg_rule_allowed_total'), [`${name}|host|1`]);
  });

  test('are told by subject', async (context) => {
    const cgroup = host.use(createCgroup(host, 'metered'));
    const flags = [`-cgroup=${cgroup.path}`, '-cn=.ok.example'];
    const metered = await startMetered(context, host, flags);
    assert.equal((await curl(cgroup, `http://${ALLOWED}/`)).exitCode, 0);
    assert.equal((await curl(cgroup, `http://${BLOCKED}/`)).exitCode, 7);
    const metrics = await scrapeUntil(
      metered,
      'both verdicts',
      (found) => sumOf(found, 'l7egg_verdicts_total') >= 2 && sumOf(found, 'l7egg_leases') > 0,
    );
    const subject = `cgroup:${cgroup.path}`;
    assert.equal(sumOf(metrics, 'l7egg_verdicts_total', { verdict: 'allow', subject }), 1);
    assert.equal(sumOf(metrics, 'l7egg_verdicts_total', { verdict: 'deny', subject }), 1);
    assert.equal(sumOf(metrics, 'l7egg_leases', { subject }), sumOf(metrics, 'l7egg_leases'));
    assert.deepEqual(listed(metrics, 'l7egg_attached'), [`cgroup|${cgroup.directory}|all|1`]);
  });
});

describe('l7egg_common_name_total_requests', () => {
  test('tells rule, suffix, address, port and name of what passed, and of what was refused', async (context) => {
    const metered = await startMetered(context, host);
    assert.equal(await isOpen(host, ALLOWED), true);
    assert.equal(await isOpen(host, ALLOWED), true);
    assert.equal(await isOpen(host, OTHER), true);
    assert.equal(await isOpen(host, BLOCKED), false);
    const metrics = await scrapeUntil(
      metered,
      'four requests',
      (found) => sumOf(found, 'l7egg_common_name_total_requests') >= 4,
    );
    assert.deepEqual(listed(metrics, 'l7egg_common_name_total_requests'), [
      `1|0|1|.ok.example|${ALLOWED_ADDRESS}|80|${ALLOWED}|2`,
      `1|0|1|.ok.example|198.51.100.211|80|${OTHER}|1`,
      `0|0|0||${BLOCKED}|80||1`,
    ]);
  });

  test('has a bounded number of series, and counts what has none', async (context) => {
    const metered = await startMetered(context, host);
    await causeEvents(host, 0, 1_000);
    const metrics = await scrapeUntil(
      metered,
      '1000 refusals',
      (found) => sumOf(found, 'l7egg_verdicts_total') >= 1_000,
    );
    const name = 'l7egg_common_name_total_requests';
    assert.equal(findSamples(metrics, name).length, 501);
    assert.equal(sumOf(metrics, name), 1_000);
    assert.deepEqual(
      findSamples(metrics, name, { id: 'other' }).map(({ value }) => value),
      [500],
    );
    assert.equal(sumOf(metrics, 'l7egg_label_overflow_total', { metric: name }), 500);
    assert.equal(await isOpen(host, ALLOWED), true);
    await scrapeUntil(metered, 'what is listed', (found) => sumOf(found, name, { fqdn: ALLOWED }) === 1);
  });
});

test('lookups count by verdict and reason', async (context) => {
  const metered = await startMetered(context, host, [...FLAGS, '-dns=strict']);
  assert.equal(await isOpen(host, ALLOWED), true);
  assert.equal((await curl(host, 'http://www.no.example/')).exitCode, 6);
  const metrics = await scrapeUntil(
    metered,
    'both lookups',
    (found) =>
      sumOf(found, 'l7egg_dns_verdicts_total', { verdict: 'deny', reason: 'dns-strict', ...OF_HOST }) > 0 &&
      sumOf(found, 'l7egg_dns_verdicts_total', { verdict: 'allow', reason: 'learned', ...OF_HOST }) > 0,
  );
  assert.equal(sumOf(metrics, 'l7egg_dns_verdicts_total', { verdict: 'allow', reason: 'dns-strict' }), 0);
});
