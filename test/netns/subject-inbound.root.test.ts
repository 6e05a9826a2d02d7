/*
 * Calls from outside to a server in a subject: not answered, unless on a port that the policy takes calls on. The lab
 * is that of subject-lab.ts.
 *
 *   cgroup A  echo servers, TCP and UDP   ◄── web (by the wire), host (by loopback and by 192.0.2.2)
 */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import type { Cgroup } from '../lab/cgroup.ts';
import { untilListening } from '../lab/servers.ts';
import { HOST } from '../lab/topology.ts';
import { openEchoFlow } from './learning-flow.ts';
import { createSubjectLab, type SubjectLab } from './subject-lab.ts';

const ELSEWHERE = [{ cidrs: ['198.51.100.1'] }];
let port = 21_000;

describe('calls from outside', () => {
  let lab: SubjectLab;
  before(async () => {
    lab = await createSubjectLab();
  });
  after(() => lab.close());

  async function serve(cgroup: Cgroup, proto: 'TCP' | 'UDP', family: 4 | 6): Promise<number> {
    port += 1;
    const only = family === 6 ? ',ipv6only=1' : '';
    const server = cgroup.spawn('socat', [
      '-T5',
      `${proto}${family}-LISTEN:${port}${only},reuseaddr,fork`,
      'PIPE',
    ]);
    const table = proto === 'TCP' ? (family === 6 ? 'tcp6' : 'tcp') : family === 6 ? 'udp6' : 'udp';
    await untilListening(lab.host, server, [table], port);
    return port;
  }

  for (const [proto, family, attempt] of [
    ['TCP', 4, 'tcp4'],
    ['TCP', 6, 'tcp6'],
    ['UDP', 4, 'udp4'],
    ['UDP', 6, 'udp6'],
  ] as const) {
    test(`${attempt}: no answer by default, an answer on a port of -inbound, and after`, async (context) => {
      const [taken, other] = [await serve(lab.a, proto, family), await serve(lab.a, proto, family)];
      const at = family === 4 ? HOST.v4 : HOST.v6;
      const call = (to: number) => lab.came(lab.lab.web, attempt, at, `${to}`);
      const callHere = (to: number) =>
        lab.came(lab.host, attempt, family === 4 ? '127.0.0.1' : '::1', `${to}`);
      assert.deepEqual([await call(taken), await callHere(taken)], ['ok', 'ok'], 'before');
      const closed = await lab.judge(context, [lab.a], ['-cidr=198.51.100.1']);
      assert.deepEqual([await call(taken), await callHere(taken)], ['silence', 'silence']);
      await closed.stop();
      const flags = await lab.judge(context, [lab.a], ['-cidr=198.51.100.1', `-inbound=${taken}`]);
      assert.deepEqual([await call(taken), await callHere(taken)], ['ok', 'ok'], 'by the flag');
      assert.deepEqual([await call(other), await callHere(other)], ['silence', 'silence'], 'another port');
      await flags.stop();
      const file = await lab.judgeBy(context, [
        { subject: `cgroup:${lab.a.path}`, rules: ELSEWHERE, inbound: [`${taken}/${proto.toLowerCase()}`] },
      ]);
      assert.deepEqual([await call(taken), await callHere(taken)], ['ok', 'ok'], 'by the file');
      assert.deepEqual([await call(other), await callHere(other)], ['silence', 'silence'], 'another port');
      await file.stop();
      assert.deepEqual([await call(other), await callHere(other)], ['ok', 'ok'], 'after');
    });
  }

  test('sessions from before go on where the port takes calls, and end where it does not', async (context) => {
    const [taken, other] = [await serve(lab.a, 'TCP', 4), await serve(lab.a, 'TCP', 6)];
    using kept = await openEchoFlow(lab.lab.web, `TCP4:${HOST.v4}:${taken}`);
    using ended = await openEchoFlow(lab.lab.web, `TCP6:[${HOST.v6}]:${other}`);
    await kept.echo('before');
    await ended.echo('before');
    const enforcer = await lab.judge(context, [lab.a], ['-cidr=198.51.100.1', `-inbound=${taken}`]);
    await kept.echo('after');
    await ended.untilClosed('after');
    await kept.echo('again');
    await enforcer.stop();
    await kept.echo('at the end');
  });

  test('calls that are not answered leave the server alone, also where the kernel answers by cookie', async (context) => {
    for (const cookies of ['1', '2']) {
      lab.host.must('sh', ['-c', `echo ${cookies} >/proc/sys/net/ipv4/tcp_syncookies`]);
      for (const [family, at] of [
        [4, HOST.v4],
        [6, HOST.v6],
      ] as const) {
        const server = await serve(lab.a, 'TCP', family);
        const enforcer = await lab.judge(context, [lab.a], ['-cidr=198.51.100.1']);
        // By cookie a handshake is of no socket, so it passes; what the server then says does not.
        const target = family === 4 ? `TCP4:${at}:${server}` : `TCP6:[${at}]:${server}`;
        const call = ['-t0.5', '-', `${target},connect-timeout=0.5`];
        for (let round = 0; round < 3; round++)
          assert.equal((await lab.lab.web.runAsync('socat', call, { input: 'l7egg' })).stdout, '');
        await lab.refusals(enforcer, lab.a);
        await enforcer.stop();
        assert.equal(await lab.came(lab.lab.web, `tcp${family}`, at, `${server}`), 'ok', cookies);
      }
    }
    lab.host.must('sh', ['-c', 'echo 1 >/proc/sys/net/ipv4/tcp_syncookies']);
  });

  test('a port that takes calls is no way out', async (context) => {
    const taken = await serve(lab.a, 'TCP', 4);
    await lab.judge(context, [lab.a], ['-cidr=198.51.100.1', `-inbound=${taken},7`]);
    assert.equal(await lab.came(lab.lab.web, 'tcp4', HOST.v4, `${taken}`), 'ok');
    assert.equal(await lab.came(lab.a, 'tcp4', '192.0.2.80', '80'), 'EPERM', 'to who has just called');
    assert.equal(await lab.came(lab.a, 'udp4', '192.0.2.80', '7'), 'EPERM');
  });
});
