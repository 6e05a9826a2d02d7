/*
 * `run`: one command judged by a policy of its own. The lab is that of subject-lab.ts; the command is started on the
 * host, and nothing else there is judged.
 */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { findCli } from '../lab/checkout.ts';
import type { RunResult } from '../lab/command.ts';
import { type FreshNames, freshRecords } from '../lab/first-packet.ts';
import { startTcpEcho } from '../lab/servers.ts';
import { webAddress } from './learning-lab.ts';
import { createSubjectLab, RESOLVER, type SubjectLab, scriptPath } from './subject-lab.ts';
import type { Load, LoadReport } from './subject-load.ts';

const NAMES: FreshNames = { suffix: 'fresh.example', nonce: 'r', count: 200, family: 6 };
const NO = webAddress(66);

describe('run', () => {
  let lab: SubjectLab;
  before(async () => {
    lab = await createSubjectLab(freshRecords(NAMES));
    await startTcpEcho(lab.host, 7_070);
  });
  after(() => lab.close());

  const run = (flags: readonly string[], command: readonly string[]): Promise<RunResult> =>
    lab.host.runAsync(findCli(), ['run', `-resolver=${RESOLVER.v4}`, ...flags, '--', ...command]);

  test('a listed name answers, another address is refused at once and summed up; nobody else is judged', async () => {
    const shell = `curl -4 -sS -m5 http://one.ok.example/; ${lab.probe} tcp4 ${NO.v4} 80; ${lab.probe} udp6 ${NO.v6} 7`;
    const done = await run(['-cn=.ok.example'], ['sh', '-c', shell]);
    assert.equal(done.code, 0, done.stderr);
    const [greeting, tcp = '', udp = ''] = done.stdout.split('\n');
    assert.equal(greeting, `hello from ${webAddress(1).v4}`);
    for (const line of [tcp, udp]) {
      const [came, ms] = line.split(' ');
      assert.equal(came, 'EPERM');
      assert.ok(Number(ms) < 100, line);
    }
    assert.match(done.stderr, new RegExp(`${NO.v4}:80`, 'u'));
    assert.equal(await lab.came(lab.host, 'tcp4', NO.v4, '80'), 'ok');
  });

  test('-fail-on-blocked: 10 for what was blocked, 0 for nothing, and a closed port on loopback is nothing', async () => {
    const flags = ['-cn=.ok.example', '-fail-on-blocked'];
    assert.equal((await run(flags, [lab.probe, 'tcp4', NO.v4, '80'])).code, 10);
    assert.equal((await run(flags, ['curl', '-4', '-sS', '-m5', 'http://one.ok.example/'])).code, 0);
    const closed = await run(flags, [lab.probe, 'tcp4', '127.0.0.1', '19999']);
    assert.match(closed.stdout, /^ECONNREFUSED /u);
    assert.equal(closed.code, 0, closed.stderr);
    const others = await run(flags, [lab.probe, 'tcp4', '127.0.0.1', '7070']);
    assert.match(others.stdout, /^EPERM /u, "somebody else's server on loopback");
    assert.equal(others.code, 10);
  });

  test('a server of the command is its own, and not answered outside', async () => {
    const shell = `socat TCP4-LISTEN:7171,reuseaddr,fork PIPE & sleep 0.3; echo l7egg | socat -t2 - TCP4:127.0.0.1:7171; sleep 1.5`;
    const running = run(['-cn=.ok.example', '-fail-on-blocked'], ['sh', '-c', shell]);
    await lab.host.runAsync('sh', [
      '-c',
      'until grep -q ":1C03 00000000:0000 0A" /proc/net/tcp; do sleep 0.05; done',
    ]);
    assert.equal(await lab.came(lab.host, 'tcp4', '127.0.0.1', '7171'), 'silence');
    assert.match((await running).stdout, /^l7egg$/mu);
  });

  test(`${NAMES.count} first packets pass`, async () => {
    const load: Load = {
      ...NAMES,
      resolver: RESOLVER.v4,
      first: 0,
      parallel: 16,
      blocked: NO.v6,
    };
    const done = await run(
      ['-cn=.fresh.example'],
      [process.execPath, scriptPath('subject-load'), JSON.stringify(load)],
    );
    const report: LoadReport = JSON.parse(done.stdout);
    assert.deepEqual(report, { connected: NAMES.count, refused: NAMES.count, failures: [] });
  });
});
