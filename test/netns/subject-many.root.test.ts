/*
 * Several subjects by one enforcer, each judged by its own policy. The lab is that of subject-lab.ts.
 *
 *   host ── tc on eth0     may reach 198.51.100.1
 *   cgroup A               a recursive resolver: port 53 anywhere
 *   64 cgroups             the n-th may reach 198.51.100.n and 2001:db8:2::n
 */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import type { Cgroup } from '../lab/cgroup.ts';
import { startTcpEcho, startUdpEcho } from '../lab/servers.ts';
import { until } from '../lab/wait.ts';
import { webAddress } from './learning-lab.ts';
import { l7egg } from './robust-lab.ts';
import { createSubjectLab, RESOLVER, type SubjectLab } from './subject-lab.ts';

const MANY = 64;
const BY_INTERFACE = ['-iface=eth0', '-eface=eth0'];
const OK = '198.51.100.1';
const NO = '198.51.100.66';

describe('several subjects', () => {
  let lab: SubjectLab;
  before(async () => {
    lab = await createSubjectLab();
    await startTcpEcho(lab.lab.web, 53);
    await startUdpEcho(lab.lab.web, 53);
  });
  after(() => lab.close());

  test("a flow of a subject is the subject's to its end: the host does not refuse its last packets", async (context) => {
    const enforcer = await lab.judgeBy(
      context,
      [{ rules: [{ cidrs: [RESOLVER.v4] }] }, { subject: `cgroup:${lab.a.path}`, rules: [{ cidrs: [OK] }] }],
      BY_INTERFACE,
    );
    for (let round = 0; round < 20; round++) {
      assert.equal(await lab.came(lab.a, 'tcp4', OK, '7'), 'ok'); // it ends before the server does
      const done = await lab.a.runAsync('socat', ['-t2', '-', `TCP4:${OK}:7`], { input: 'l7egg' });
      assert.equal(done.stdout, 'l7egg');
    }
    // 09 LAST_ACK: the server has ended, too, and waits for the answer that the subject's host gives without a process.
    await until(() => !/^ *\d+: \S+ \S+ (?:08|09) /mu.test(lab.lab.web.must('cat', ['/proc/net/tcp6'])), {
      limitMs: 5_000,
      what: 'the end of all connections at the server',
    });
    assert.deepEqual(await lab.refusals(enforcer, lab.a), []);
  });

  test('a recursive resolver may reach port 53 anywhere, the rest of the host may not', async (context) => {
    const enforcer = await lab.judgeBy(
      context,
      [
        { rules: [{ cidrs: [OK] }] },
        { subject: `cgroup:${lab.a.path}`, rules: [{ ports: ['53/udp', '53/tcp'] }] },
      ],
      BY_INTERFACE,
    );
    for (const [attempt, to] of [
      ['tcp4', NO],
      ['udp4', NO],
      ['tcp6', '2001:db8:2::66'],
      ['udp6', '2001:db8:2::66'],
    ] as const) {
      assert.equal(await lab.came(lab.a, attempt, to, '53'), 'ok');
      assert.notEqual(await lab.came(lab.host, attempt, to, '53'), 'ok', `${attempt} of the host`);
      assert.notEqual(await lab.came(lab.b, attempt, to, '53'), 'ok', `${attempt} of another cgroup`);
    }
    assert.equal(await lab.came(lab.a, 'tcp4', OK, '80'), 'EPERM', 'what the host may, the subject may not');
    assert.equal(await lab.came(lab.host, 'tcp4', OK, '80'), 'ok');
    const told = await lab.refusals(enforcer, lab.a);
    assert.deepEqual([...new Set(told.map(({ subject }) => subject))].sort(), [
      `cgroup:${lab.a.path}`,
      'host',
    ]);
    await enforcer.stop();
    assert.equal(await lab.came(lab.host, 'udp4', NO, '53'), 'ok', 'after');
    assert.equal(await lab.came(lab.a, 'tcp4', NO, '80'), 'ok', 'after');
  });

  test(`${MANY} subjects have each its own policy`, async (context) => {
    const cgroups = Array.from({ length: MANY }, (_, index) => lab.cgroup(`m${index}`));
    await lab.judgeBy(
      context,
      cgroups.map(({ path }, index) => ({
        subject: `cgroup:${path}`,
        rules: [{ cidrs: [webAddress(index + 1).v4, webAddress(index + 1).v6] }],
      })),
    );
    for (const [index, cgroup] of cgroups.entries()) {
      const [own, other] = [webAddress(index + 1), webAddress(((index + 1) % MANY) + 1)];
      assert.equal(await lab.came(cgroup, 'tcp4', own.v4, '80'), 'ok', `${index}`);
      assert.equal(await lab.came(cgroup, 'tcp4', other.v4, '80'), 'EPERM', `${index}`);
      assert.equal(await lab.came(cgroup, 'udp6', own.v6, '7'), 'ok', `${index}`);
      assert.equal(await lab.came(cgroup, 'udp6', other.v6, '7'), 'EPERM', `${index}`);
    }
    assert.equal(await lab.came(lab.b, 'tcp4', NO, '80'), 'ok', 'who is no subject');
  });

  test('at eight depths of the tree, beside the host; nine are an error that counts them', async (context) => {
    let at: Cgroup = lab.a;
    // Siblings, not one in the other: each policy alone decides.
    const deep = Array.from({ length: 9 }, (_, depth) => {
      at = depth === 0 ? lab.a : at.below(`d${depth}`);
      return at.below('s');
    });
    const documents = deep.map(({ path }, index) => ({
      subject: `cgroup:${path}`,
      rules: [{ cidrs: [webAddress(index + 1).v4] }],
    }));
    const host = { rules: [{ cidrs: ['203.0.113.9'] }] };
    const failed = await l7egg(
      lab.host,
      `-policy=${lab.policyFile([host, ...documents])}`,
      ...BY_INTERFACE,
      '-instance=subj-deep',
    );
    assert.equal(failed.code, 2, failed.stderr);
    assert.match(
      failed.stderr,
      /subjects are at 9 depths of the tree of cgroups, 2, 3, 4, 5, 6, 7, 8, 9, 10: 8 are legal/,
    );
    await lab.judgeBy(context, [host, ...documents.slice(0, 8)], BY_INTERFACE);
    for (const [index, cgroup] of deep.slice(0, 8).entries()) {
      assert.equal(await lab.came(cgroup, 'tcp4', webAddress(index + 1).v4, '80'), 'ok', `depth ${index}`);
      assert.equal(await lab.came(cgroup, 'tcp4', webAddress(index + 2).v4, '80'), 'EPERM', `depth ${index}`);
      assert.equal(await lab.came(cgroup, 'tcp4', '203.0.113.9', '80'), 'EPERM', 'what the host may');
    }
    assert.equal(await lab.came(lab.host, 'tcp4', '203.0.113.9', '80'), 'ok');
    assert.equal(await lab.came(lab.host, 'tcp4', webAddress(1).v4, '80'), 'ECONNREFUSED');
    const ninth = deep[8] ?? lab.b;
    assert.equal(await lab.came(ninth, 'tcp4', webAddress(9).v4, '80'), 'ECONNREFUSED', 'by the host');
  });

  test('one in the other, four deep: all of them have to allow, and each learns by itself', async (context) => {
    const chain = [
      lab.b,
      lab.b.below('x'),
      lab.b.below('x').below('y'),
      lab.b.below('x').below('y').below('z'),
    ];
    await lab.judgeBy(
      context,
      chain.map(({ path }, index) => ({
        subject: `cgroup:${path}`,
        rules: [
          { suffixes: ['.ok.example'] },
          { cidrs: chain.slice(0, chain.length - index).map((_, n) => webAddress(10 + n).v4) },
        ],
      })),
    );
    for (const [depth, cgroup] of chain.entries()) {
      const { code, stderr } = await cgroup.runAsync('curl', ['-4', '-sS', '-m5', 'http://one.ok.example/']);
      assert.equal(code, 0, `depth ${depth}: ${stderr}`);
      for (const n of chain.keys()) {
        const wanted = n < chain.length - depth ? 'ok' : 'EPERM';
        assert.equal(await lab.came(cgroup, 'tcp4', webAddress(10 + n).v4, '80'), wanted, `${depth} to ${n}`);
        assert.equal(await lab.came(cgroup, 'udp4', webAddress(10 + n).v4, '7'), wanted, `${depth} to ${n}`);
      }
    }
  });
});
