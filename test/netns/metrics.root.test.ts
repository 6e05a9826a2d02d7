/*
 * What the metrics of a running enforcer tell, held against what was sent. The lab is that of robust-lab.ts.
 */
import assert from 'node:assert/strict';
import { renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, type TestContext, test } from 'node:test';
import { createCgroup } from '../lab/cgroup.ts';
import { curl } from '../lab/clients.ts';
import { runCommand } from '../lab/command.ts';
import type { Namespace } from '../lab/namespace.ts';
import type { Lab } from '../lab/topology.ts';
import { until } from '../lab/wait.ts';
import { type Exposition, findSamples, sumOf } from '../metrics/exposition.ts';
import { type Metered, startMetered } from './metrics-lab.ts';
import { ALLOWED, ALLOWED_ADDRESS, BLOCKED, createRobustLab, FLAGS, isOpen, OTHER } from './robust-lab.ts';
import { causeEvents } from './robust-unread.ts';

/** Longer than a census is kept. */
const LIMIT_MS = 12_000;
const RULE = '-cn=.ok.example';
const HOST = { subject: 'host' };

let lab: Lab;
let host: Namespace;

before(async () => {
  lab = await createRobustLab();
  host = lab.host;
});
after(() => lab.close());

/** Scrapes until `isThere`, and answers with that scrape. */
function scrapeUntil(
  { scrape }: Metered,
  what: string,
  isThere: (metrics: Exposition) => boolean,
): Promise<Exposition> {
  return until(
    async () => {
      const metrics = await scrape();
      return isThere(metrics) && metrics;
    },
    { limitMs: LIMIT_MS, what },
  );
}

/** What each label of the samples of a metric is. */
function listed(metrics: Exposition, name: string): string[] {
  return findSamples(metrics, name).map(({ labels, value }) => [...labels.values(), value].join('|'));
}

describe('a scrape', () => {
  const families: readonly (readonly [name: string, type: string, labels: string])[] = [
    ['l7egg_verdicts_total', 'counter', 'verdict reason rule subject'],
    ['l7egg_dns_verdicts_total', 'counter', 'verdict reason rcode subject'],
    ['l7egg_common_name_total_requests', 'gauge', 'id status in_acl cn cidr port fqdn'],
    ['l7egg_label_overflow_total', 'counter', 'metric'],
    ['l7egg_events_total', 'counter', 'kind'],
    ['l7egg_ended_flows_total', 'counter', 'subject'],
    ['l7egg_ended_flow_bytes_total', 'counter', 'subject direction'],
    ['l7egg_ended_flow_packets_total', 'counter', 'subject direction'],
    ['l7egg_reloads_total', 'counter', 'result'],
    ['l7egg_last_reload_successful', 'gauge', ''],
    ['l7egg_last_reload_success_timestamp_seconds', 'gauge', ''],
    ['l7egg_build_info', 'gauge', 'version kernel node'],
    ['l7egg_datapath_total', 'counter', 'counter'],
    ['l7egg_ring_lost_events_total', 'counter', ''],
    ['l7egg_event_readers', 'gauge', ''],
    ['l7egg_reader_lost_events_total', 'counter', ''],
    ['l7egg_flows', 'gauge', 'direction subject'],
    ['l7egg_learned_addresses', 'gauge', 'subject'],
    ['l7egg_leases', 'gauge', 'subject'],
    ['l7egg_rules', 'gauge', 'subject'],
    ['l7egg_map_entries', 'gauge', 'map'],
    ['l7egg_map_max_entries', 'gauge', 'map'],
    ['l7egg_map_fill_ratio', 'gauge', 'map'],
    ['l7egg_rule_allowed_total', 'counter', 'rule subject'],
    ['l7egg_rule_refused_total', 'counter', 'rule subject'],
    ['l7egg_rule_learned_total', 'counter', 'rule subject'],
    ['l7egg_rule_evicted_total', 'counter', 'rule subject'],
    ['l7egg_rule_overflow_total', 'counter', ''],
    ['l7egg_attached', 'gauge', 'kind name hook'],
    ['l7egg_census_timestamp_seconds', 'gauge', ''],
    ['l7egg_census_duration_seconds', 'gauge', ''],
    ['l7egg_scrape_longest_piece_seconds', 'gauge', ''],
    ['process_start_time_seconds', 'gauge', ''],
    ['process_resident_memory_bytes', 'gauge', ''],
    ['process_cpu_seconds_total', 'counter', ''],
    ['nodejs_eventloop_lag_max_seconds', 'gauge', ''],
  ];

  test('has every family, with its type, labels and a help text, and no other of ours', async (context) => {
    const metered = await startMetered(context, host);
    assert.equal(await isOpen(host, ALLOWED), true);
    assert.equal(await isOpen(host, BLOCKED), false);
    const metrics = await scrapeUntil(
      metered,
      'a counted flow',
      (found) => sumOf(found, 'l7egg_verdicts_total') > 1 && sumOf(found, 'l7egg_leases') > 0,
    );
    for (const [name, type, labels] of families) {
      const family = metrics.get(name);
      assert.equal(family?.type, type, name);
      assert.match(family.help, /^[A-Z].{10,}\.$/u, name);
      for (const sample of family.samples) assert.equal([...sample.labels.keys()].join(' '), labels, name);
    }
    const ours = [...metrics.keys()].filter((name) => name.startsWith('l7egg_'));
    assert.deepEqual(
      ours.filter((name) => !families.some(([known]) => known === name)),
      [],
    );
    for (const { name, type } of metrics.values())
      if (name.startsWith('l7egg_') && type === 'counter') assert.match(name, /_total$/u);
  });

  test('tells what runs', async (context) => {
    const { scrape } = await startMetered(context, host);
    const metrics = await scrape();
    assert.deepEqual(listed(metrics, 'l7egg_build_info'), [
      `0.1.0|${runCommand(['uname', '-r']).stdout.trim()}|${process.version}|1`,
    ]);
    assert.deepEqual(listed(metrics, 'l7egg_attached'), [
      'interface|eth0|ingress|1',
      'interface|eth0|egress|1',
    ]);
    assert.deepEqual(listed(metrics, 'l7egg_rules'), ['host|1']);
    assert.equal(sumOf(metrics, 'l7egg_map_max_entries', { map: 'flows' }), 262_144);
    const age = Date.now() / 1_000 - sumOf(metrics, 'process_start_time_seconds');
    assert.ok(age > -1 && age < 60, `started ${age} s ago`);
  });
});

describe('verdicts', () => {
  test('go up by exactly what was sent, allowed and refused', async (context) => {
    const metered = await startMetered(context, host);
    const counts = (metrics: Exposition) => ({
      allowed: sumOf(metrics, 'l7egg_verdicts_total', {
        verdict: 'allow',
        reason: 'rule-name',
        rule: RULE,
        ...HOST,
      }),
      refused: sumOf(metrics, 'l7egg_verdicts_total', {
        verdict: 'deny',
        reason: 'no-rule',
        rule: '',
        ...HOST,
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
      sumOf(found, 'l7egg_dns_verdicts_total', { verdict: 'deny', reason: 'dns-strict', ...HOST }) > 0 &&
      sumOf(found, 'l7egg_dns_verdicts_total', { verdict: 'allow', reason: 'learned', ...HOST }) > 0,
  );
  assert.equal(sumOf(metrics, 'l7egg_dns_verdicts_total', { verdict: 'allow', reason: 'dns-strict' }), 0);
});

test('leases, addresses, flows and maps are counted', async (context) => {
  const metered = await startMetered(context, host);
  const empty = await metered.scrape();
  assert.equal(sumOf(empty, 'l7egg_leases'), 0);
  assert.equal(sumOf(empty, 'l7egg_flows', { direction: 'outbound' }), 0);
  assert.equal(await isOpen(host, ALLOWED), true);
  assert.equal(await isOpen(host, OTHER), true);
  const metrics = await scrapeUntil(
    metered,
    'two leases',
    (found) => sumOf(found, 'l7egg_leases', HOST) === 2,
  );
  assert.equal(sumOf(metrics, 'l7egg_learned_addresses', HOST), 2);
  assert.equal(sumOf(metrics, 'l7egg_map_entries', { map: 'learned' }), 2);
  assert.equal(sumOf(metrics, 'l7egg_map_fill_ratio', { map: 'learned' }), 2 / 135_168);
  assert.equal(sumOf(metrics, 'l7egg_flows', { direction: 'outbound', ...HOST }), 2);
  assert.equal(sumOf(metrics, 'l7egg_rule_allowed_total', { rule: RULE, ...HOST }), 2);
  assert.equal(sumOf(metrics, 'l7egg_rule_learned_total', { rule: RULE, ...HOST }), 2);
});

test('a hook that somebody takes off shows', async (context) => {
  const metered = await startMetered(context, host);
  assert.equal(sumOf(await metered.scrape(), 'l7egg_attached'), 2);
  const { instance } = metered.enforcer;
  runCommand(['sh', '-c', `rm /sys/fs/bpf/l7egg/${instance}/links/*-egress`]);
  const metrics = await scrapeUntil(metered, 'the loss', (found) => sumOf(found, 'l7egg_attached') === 1);
  assert.equal(sumOf(metrics, 'l7egg_attached', { name: 'eth0', hook: 'egress' }), 0);
});

test('reloads count by how they went', async (context) => {
  const file = join(host.directory, `reloads-${process.pid}.yaml`);
  const write = (text: string) => {
    writeFileSync(`${file}.new`, text);
    renameSync(`${file}.new`, file);
  };
  const policy = (cidr: string) =>
    `apiVersion: l7egg/v1\nkind: EgressPolicy\nrules: [{name: one, cidrs: [${cidr}]}]\n`;
  write(policy('203.0.113.1'));
  const metered = await startMetered(context, host, [...FLAGS.slice(0, 2), `-policy=${file}`]);
  const results = (metrics: Exposition) => listed(metrics, 'l7egg_reloads_total').join(' ');
  const before = await metered.scrape();
  assert.equal(results(before), 'reloaded|0 unchanged|0 failed|0');
  write(policy(`${BLOCKED}`));
  const changed = await scrapeUntil(metered, 'a reload', (found) => results(found).startsWith('reloaded|1'));
  const when = 'l7egg_last_reload_success_timestamp_seconds';
  assert.ok(sumOf(changed, when) > sumOf(before, when));
  write('apiVersion: nothing\n');
  const failed = await scrapeUntil(metered, 'a failure', (found) => results(found).endsWith('failed|1'));
  assert.equal(sumOf(failed, 'l7egg_last_reload_successful'), 0);
  assert.equal(sumOf(failed, when), sumOf(changed, when));
  assert.equal(await isOpen(host, BLOCKED), true);
  write(policy(`${BLOCKED}`));
  metered.enforcer.process.kill('SIGHUP');
  const same = await scrapeUntil(metered, 'a good file', (found) => !results(found).includes('unchanged|0'));
  assert.equal(sumOf(same, 'l7egg_last_reload_successful'), 1);
});

test('a rule that is withdrawn has no series any more', async (context: TestContext) => {
  const file = join(host.directory, `withdrawn-${process.pid}.yaml`);
  const policy = (...names: string[]) =>
    JSON.stringify({
      apiVersion: 'l7egg/v1',
      kind: 'EgressPolicy',
      rules: names.map((name, index) => ({ name, cidrs: [index === 0 ? BLOCKED : '203.0.113.67'] })),
    });
  writeFileSync(file, policy('first', 'second'));
  const metered = await startMetered(context, host, [...FLAGS.slice(0, 2), `-policy=${file}`]);
  assert.equal(await isOpen(host, BLOCKED), true);
  assert.equal(await isOpen(host, '203.0.113.67'), true);
  const rules = (metrics: Exposition) => listed(metrics, 'l7egg_rule_allowed_total').sort().join(' ');
  await scrapeUntil(metered, 'both rules', (found) => rules(found) === 'first|host|1 second|host|1');
  writeFileSync(file, policy('first'));
  await scrapeUntil(metered, 'one rule', (found) => rules(found) === 'first|host|1');
});
