/*
 * What the metrics of a running enforcer are, and what they tell of its state. The lab is that of robust-lab.ts.
 */
import assert from 'node:assert/strict';
import { renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, type TestContext, test } from 'node:test';
import { runCommand } from '../lab/command.ts';
import type { Namespace } from '../lab/namespace.ts';
import type { Lab } from '../lab/topology.ts';
import { type Exposition, sumOf } from '../metrics/exposition.ts';
import { listed, OF_HOST, scrapeUntil, startMetered } from './metrics-lab.ts';
import { ALLOWED, BLOCKED, createRobustLab, FLAGS, isOpen, OTHER } from './robust-lab.ts';

const RULE = '-cn=.ok.example';

let lab: Lab;
let host: Namespace;

before(async () => {
  lab = await createRobustLab();
  host = lab.host;
});
after(() => lab.close());

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

test('leases, addresses, flows and maps are counted', async (context) => {
  const metered = await startMetered(context, host);
  const empty = await metered.scrape();
  assert.deepEqual(listed(empty, 'l7egg_leases'), ['host|0']);
  assert.deepEqual(listed(empty, 'l7egg_flows').sort(), ['inbound|host|0', 'outbound|host|0']);
  assert.equal(await isOpen(host, ALLOWED), true);
  assert.equal(await isOpen(host, OTHER), true);
  const metrics = await scrapeUntil(
    metered,
    'two leases',
    (found) => sumOf(found, 'l7egg_leases', OF_HOST) === 2,
  );
  assert.equal(sumOf(metrics, 'l7egg_learned_addresses', OF_HOST), 2);
  assert.equal(sumOf(metrics, 'l7egg_map_entries', { map: 'learned' }), 2);
  assert.equal(sumOf(metrics, 'l7egg_map_fill_ratio', { map: 'learned' }), 2 / 135_168);
  assert.equal(sumOf(metrics, 'l7egg_flows', { direction: 'outbound', ...OF_HOST }), 2);
  assert.equal(sumOf(metrics, 'l7egg_rule_allowed_total', { rule: RULE, ...OF_HOST }), 2);
  assert.equal(sumOf(metrics, 'l7egg_rule_learned_total', { rule: RULE, ...OF_HOST }), 2);
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
