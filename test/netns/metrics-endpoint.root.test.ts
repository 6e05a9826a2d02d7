/*
 * Who reaches the metrics of a running enforcer, and what happens where they can't be had. The lab is that of
 * robust-lab.ts.
 */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, before, describe, test } from 'node:test';
import { findCheckout } from '../lab/checkout.ts';
import type { Namespace } from '../lab/namespace.ts';
import { untilListening } from '../lab/servers.ts';
import { HOST, type Lab } from '../lab/topology.ts';
import { findSamples, parseExposition } from '../metrics/exposition.ts';
import { ask, startMetered } from './metrics-lab.ts';
import {
  ALLOWED,
  BLOCKED,
  createRobustLab,
  FLAGS,
  filesOf,
  isOpen,
  killNow,
  l7egg,
  newInstance,
  startFor,
} from './robust-lab.ts';

const PORT = 9_464;
const METRICS = `-metrics=:${PORT}`;
const LOCAL_URL = `http://127.0.0.1:${PORT}/metrics`;

let lab: Lab;
let host: Namespace;

before(async () => {
  lab = await createRobustLab();
  host = lab.host;
});
after(() => lab.close());

describe('-metrics', () => {
  test('is on loopback, and answers whoever names that', async (context) => {
    const { url, port } = await startMetered(context, host);
    assert.equal((await ask(host, url)).status, 200);
    assert.equal((await ask(host, `http://localhost:${port}/metrics`, ['-4'])).status, 200);
    assert.equal((await ask(host, `http://${HOST.v4}:${port}/metrics`)).status, 0);
    assert.equal((await ask(lab.web, `http://${HOST.v4}:${port}/metrics`)).status, 0);
  });

  test('answers no page of the web whose name leads to loopback', async (context) => {
    const { port } = await startMetered(context, host);
    const words = ['--resolve', `evil.example:${port}:127.0.0.1`];
    const { status, body } = await ask(host, `http://evil.example:${port}/metrics`, words);
    assert.equal(status, 403);
    assert.doesNotMatch(body, /l7egg_/u);
  });

  test('elsewhere only when told so, which is said', async (context) => {
    const enforcer = await startFor(context, host, [...FLAGS, `-metrics=${HOST.v4}:${PORT}`]);
    const url = `http://${HOST.v4}:${PORT}/metrics`;
    assert.ok(
      enforcer
        .remarks()
        .includes(
          `metrics at ${url}: whoever reaches that reads the names that this host looks up, without a password`,
        ),
    );
    const { status, body } = await ask(lab.web, url);
    assert.equal(status, 200);
    assert.equal(findSamples(parseExposition(body), 'l7egg_build_info').length, 1);
    assert.equal((await ask(host, LOCAL_URL)).status, 0);
  });

  test('on IPv6 loopback', async (context) => {
    await startFor(context, host, [...FLAGS, `-metrics=[::1]:${PORT}`]);
    assert.equal((await ask(host, `http://[::1]:${PORT}/metrics`)).status, 200);
    assert.equal((await ask(host, LOCAL_URL)).status, 0);
  });

  test('with -netns it is where the enforcer was started', async (context) => {
    const flags = [...FLAGS, METRICS, `-netns=${host.path}`, '-resolver=192.0.2.53'];
    await startFor(context, lab.web, flags);
    assert.equal((await ask(lab.web, LOCAL_URL)).status, 200);
    assert.equal((await ask(host, LOCAL_URL)).status, 0);
    assert.equal(await isOpen(host, BLOCKED), false);
  });

  test('is not there without the flag', async (context) => {
    await startFor(context, host);
    assert.equal((await ask(host, LOCAL_URL)).status, 0);
    assert.equal(host.must('ss', ['-ltnH']), '');
  });

  test('gives the port back at the end', async (context) => {
    const enforcer = await startFor(context, host, [...FLAGS, METRICS]);
    assert.equal((await ask(host, LOCAL_URL)).status, 200);
    assert.equal((await enforcer.stop()).code, 0);
    await startFor(context, host, [...FLAGS, METRICS]);
    assert.equal((await ask(host, LOCAL_URL)).status, 200);
  });
});

describe('a port that is taken', () => {
  test('starts nothing: exit 1 and a sentence', async (context) => {
    const other = host.spawn('socat', [`TCP4-LISTEN:${PORT},bind=127.0.0.1,fork,reuseaddr`, 'PIPE']);
    context.after(() => other.stop());
    await untilListening(host, other, ['tcp'], PORT);
    const instance = newInstance();
    const { code, stderr } = await l7egg(host, ...FLAGS, METRICS, `-instance=${instance}`);
    assert.equal(code, 1);
    assert.match(
      stderr,
      /Cannot listen at "http:\/\/127\.0\.0\.1:9464\/metrics": another program has that port/u,
    );
    assert.deepEqual(filesOf(instance), []);
    assert.equal(await isOpen(host, BLOCKED), true);
  });

  test('leaves in force what is', async (context) => {
    const enforcer = await startFor(context, host, [...FLAGS, METRICS]);
    const { instance } = enforcer;
    await killNow(enforcer);
    const other = host.spawn('socat', [`TCP4-LISTEN:${PORT},bind=127.0.0.1,fork,reuseaddr`, 'PIPE']);
    context.after(() => other.stop());
    await untilListening(host, other, ['tcp'], PORT);
    assert.equal((await l7egg(host, ...FLAGS, METRICS, `-instance=${instance}`)).code, 1);
    assert.equal((await l7egg(host, 'status', `-instance=${instance}`)).code, 0);
    assert.equal(await isOpen(host, BLOCKED), false);
    assert.equal(await isOpen(host, ALLOWED), true);
  });
});

describe('a bad -metrics starts nothing: exit 2', () => {
  const rows: readonly (readonly [text: string, says: RegExp])[] = [
    ['localhost', /^l7egg-cli: -metrics "localhost" is nowhere to listen: PORT, :PORT, .* is legal$/mu],
    ['[::1]', /-metrics "\[::1\]" is nowhere to listen/u],
    ['127.0.0.1:65536', /-metrics "127\.0\.0\.1:65536" is nowhere to listen/u],
    [
      '198.51.100.1:0',
      /Cannot listen at "http:\/\/198\.51\.100\.1:0\/metrics": this host does not have that address/u,
    ],
  ];
  for (const [text, says] of rows)
    test(text, async () => {
      const instance = newInstance();
      const { code, stderr } = await l7egg(host, ...FLAGS, `-metrics=${text}`, `-instance=${instance}`);
      assert.equal(code, 2);
      assert.match(stderr, says);
      assert.deepEqual(filesOf(instance), []);
    });

  test('run has no metrics', async () => {
    const { code, stderr } = await l7egg(host, 'run', METRICS, '-name=a.example', '--', 'true');
    assert.equal(code, 2);
    assert.match(stderr, /flag -metrics is not for run/u);
  });
});

test('the dashboard asks for metrics and labels that there are', async (context) => {
  const { scrape } = await startMetered(context, host);
  assert.equal(await isOpen(host, ALLOWED), true);
  const metrics = await scrape();
  const text = readFileSync(`${findCheckout()}/dist/grafana/l7egg.json`, 'utf8');
  const asked = [...text.matchAll(/"(?:expr|query)": "((?:[^"\\]|\\.)*)"/gu)].map(([, query = '']) => query);
  assert.ok(asked.length > 20, `${asked.length} queries`);
  const named = new Set(asked.flatMap((query) => query.match(/\b(?:l7egg|process|nodejs)_\w+/gu) ?? []));
  assert.ok(named.size > 20, `${named.size} metrics`);
  assert.deepEqual(
    [...named].filter((name) => !metrics.has(name)),
    [],
  );
  // All of ours are in it, but for those that say the same in another way.
  const left = [...metrics.keys()].filter((name) => name.startsWith('l7egg_') && !named.has(name));
  assert.deepEqual(left.sort(), [
    'l7egg_census_duration_seconds',
    'l7egg_census_timestamp_seconds',
    'l7egg_ended_flow_packets_total',
    'l7egg_ended_flows_total',
    'l7egg_event_readers',
    'l7egg_events_total',
    'l7egg_map_entries',
    'l7egg_map_max_entries',
    'l7egg_rule_evicted_total',
    'l7egg_rule_learned_total',
    'l7egg_rule_refused_total',
    'l7egg_scrape_longest_piece_seconds',
  ]);
});
