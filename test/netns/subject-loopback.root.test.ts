/*
 * Loopback, and the host's own addresses: open between processes of one subject, closed to everybody else's servers
 * unless a rule lists them. The lab is that of subject-lab.ts.
 *
 *   cgroup A   clients, and echo servers on 127.0.0.1, ::1 and 192.0.2.2
 *   cgroup B   an echo server that is not A's
 */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import type { Cgroup } from '../lab/cgroup.ts';
import type { Place } from '../lab/clients.ts';
import type { Process } from '../lab/process.ts';
import { untilListening } from '../lab/servers.ts';
import { HOST } from '../lab/topology.ts';
import { isAtOnce } from './learning-lab.ts';
import { createSubjectLab, type SubjectLab } from './subject-lab.ts';

/** Any rule: it allows none of what is tried here. */
const ELSEWHERE = ['-cidr=198.51.100.1'];
const PLACES = [
  { local: '127.0.0.1', family: 4 },
  { local: '127.8.9.10', family: 4 },
  { local: HOST.v4, family: 4 },
  { local: '::1', family: 6 },
  { local: HOST.v6, family: 6 },
] as const;
const EXCHANGES = 50;
let port = 20_000;

describe('loopback', () => {
  let lab: SubjectLab;
  before(async () => {
    lab = await createSubjectLab();
  });
  after(() => lab.close());

  /** Starts an echo server in a cgroup; answers its port. */
  async function serve(cgroup: Cgroup, proto: 'TCP' | 'UDP', family: 4 | 6, local?: string): Promise<number> {
    port += 1;
    const bound = local === undefined ? '' : `,bind=${family === 6 ? `[${local}]` : local}`;
    const only = family === 6 ? ',ipv6only=1' : '';
    const server: Process = cgroup.spawn('socat', [
      '-T5',
      `${proto}${family}-LISTEN:${port}${bound}${only},reuseaddr,fork`,
      'PIPE',
    ]);
    const table = proto === 'TCP' ? (family === 6 ? 'tcp6' : 'tcp') : family === 6 ? 'udp6' : 'udp';
    await untilListening(lab.host, server, [table], port);
    return port;
  }

  /** Sends a line over a connection of its own that ends with it; answers what came back. */
  async function exchange(place: Place, local: string, to: number): Promise<string> {
    const target = local.includes(':') ? `TCP6:[${local}]:${to}` : `TCP4:${local}:${to}`;
    const done = await place.runAsync('socat', ['-t5', '-', target], { input: 'l7egg' });
    return done.code === 0 ? done.stdout : done.stderr;
  }

  for (const { local, family } of PLACES) {
    test(`TCP at ${local}: to its own server it passes, to another's it is refused at once`, async (context) => {
      const enforcer = await lab.judge(context, [lab.a], ELSEWHERE);
      const [own, others] = [
        await serve(lab.a, 'TCP', family, local),
        await serve(lab.b, 'TCP', family, local),
      ];
      assert.equal(await exchange(lab.a, local, own), 'l7egg');
      assert.deepEqual(await lab.refusals(enforcer, lab.a), []);
      await isAtOnce(async () => {
        const { came, ms } = await lab.attempt(lab.a, `tcp${family}`, local, `${others}`);
        assert.equal(came, 'EPERM');
        return ms;
      });
      assert.equal(await exchange(lab.b, local, others), 'l7egg', 'a process of no subject');
      await enforcer.waitForEvent(({ verdict, dport }) => verdict === 'deny' && dport === others);
      await enforcer.stop();
      assert.equal(await exchange(lab.a, local, others), 'l7egg', 'after');
    });

    test(`TCP at ${local}: another's server that a rule lists answers, by that port only`, async (context) => {
      const others = await serve(lab.b, 'TCP', family, local);
      await lab.judge(context, [lab.a], [`-cidr=${local}`, `-port=${others}/tcp`]);
      assert.equal(await exchange(lab.a, local, others), 'l7egg');
      const unlisted = await serve(lab.b, 'TCP', family, local);
      assert.equal(await lab.came(lab.a, `tcp${family}`, local, `${unlisted}`), 'EPERM');
    });

    test(`TCP at ${local}: where nobody listens, it is said at once`, async (context) => {
      const enforcer = await lab.judge(context, [lab.a], ELSEWHERE);
      await isAtOnce(async () => {
        const { came, ms } = await lab.attempt(lab.a, `tcp${family}`, local, '19999');
        assert.equal(came, 'ECONNREFUSED');
        return ms;
      });
      assert.deepEqual(await lab.refusals(enforcer, lab.a), []);
    });

    test(`UDP at ${local}: its own server answers, another's is refused at once`, async (context) => {
      const enforcer = await lab.judge(context, [lab.a], ELSEWHERE);
      const [own, others] = [
        await serve(lab.a, 'UDP', family, local),
        await serve(lab.b, 'UDP', family, local),
      ];
      for (const attempt of [`udp${family}`, `connected${family}`]) {
        assert.equal(await lab.came(lab.a, attempt, local, `${own}`), 'ok');
        await isAtOnce(async () => {
          const { came, ms } = await lab.attempt(lab.a, attempt, local, `${others}`);
          assert.equal(came, 'EPERM');
          return ms;
        });
        assert.equal(await lab.came(lab.b, attempt, local, `${others}`), 'ok', 'a process of no subject');
      }
      await enforcer.stop();
      assert.equal(await lab.came(lab.a, `udp${family}`, local, `${others}`), 'ok', 'after');
    });
  }

  test('a server on every address is its own at each of them', async (context) => {
    await lab.judge(context, [lab.a], ELSEWHERE);
    const own = await serve(lab.a, 'TCP', 4);
    for (const local of ['127.0.0.1', HOST.v4]) assert.equal(await exchange(lab.a, local, own), 'l7egg');
    assert.equal(await lab.came(lab.a, 'tcp6', '::ffff:127.0.0.1', `${own}`), 'ok', 'v4-mapped');
  });

  test(`${EXCHANGES} connections that either end closes leave nothing behind and no refusal`, async (context) => {
    const enforcer = await lab.judge(context, [lab.a], ELSEWHERE);
    const own = await serve(lab.a, 'TCP', 4, '127.0.0.1');
    const lastAck = `:${own.toString(16).toUpperCase().padStart(4, '0')}`;
    for (let round = 0; round < EXCHANGES; round++) {
      assert.equal(await lab.came(lab.a, 'tcp4', '127.0.0.1', `${own}`), 'ok');
      assert.equal(await exchange(lab.a, '127.0.0.1', own), 'l7egg');
    }
    assert.deepEqual(await lab.refusals(enforcer, lab.a), []);
    const states = lab.host
      .must('cat', ['/proc/net/tcp'])
      .split('\n')
      .map((row) => row.trim().split(/\s+/))
      .filter(([, at = '', remote = '']) => at.endsWith(lastAck) || remote.endsWith(lastAck))
      .map(([, , , state]) => state);
    // 06 TIME_WAIT, 0A LISTEN; 08 CLOSE_WAIT and 09 LAST_ACK would be ends that the other never heard of.
    assert.deepEqual(
      [...new Set(states)].filter((state) => state !== '06' && state !== '0A'),
      [],
    );
  });

  test('servers from before the subject was judged are its own all the same', async (context) => {
    const [tcp, udp, others] = [
      await serve(lab.a, 'TCP', 4, '127.0.0.1'),
      await serve(lab.a, 'UDP', 4, '127.0.0.1'),
      await serve(lab.b, 'TCP', 4, '127.0.0.1'),
    ];
    await lab.judge(context, [lab.a], ELSEWHERE);
    assert.equal(await exchange(lab.a, '127.0.0.1', tcp), 'l7egg');
    assert.equal(await lab.came(lab.a, 'udp4', '127.0.0.1', `${udp}`), 'ok');
    assert.equal(await lab.came(lab.a, 'tcp4', '127.0.0.1', `${others}`), 'EPERM');
  });

  test('cgroups below a subject are the same subject, also of servers from before', async (context) => {
    const [one, two] = [lab.a.below('one'), lab.a.below('two').below('deep')];
    const before = await serve(one, 'TCP', 4, '127.0.0.1');
    const beforeUdp = await serve(one, 'UDP', 4, '127.0.0.1');
    await lab.judge(context, [lab.a], ELSEWHERE);
    const since = await serve(one, 'TCP', 4, '127.0.0.1');
    for (const place of [one, two, lab.a]) {
      assert.equal(await exchange(place, '127.0.0.1', since), 'l7egg');
      assert.equal(await exchange(place, '127.0.0.1', before), 'l7egg', 'from before');
      assert.equal(await lab.came(place, 'udp4', '127.0.0.1', `${beforeUdp}`), 'ok', 'UDP from before');
    }
  });

  test('a subject in a subject: the inner one has its own loopback, and not that of the outer', async (context) => {
    const inner = lab.a.below('inner');
    const enforcer = await lab.judgeBy(context, [
      { subject: `cgroup:${lab.a.path}`, rules: [{ cidrs: ['198.51.100.1'] }] },
      { subject: `cgroup:${inner.path}`, rules: [{ cidrs: ['198.51.100.1', '198.51.100.2'] }] },
    ]);
    const [outers, inners] = [
      await serve(lab.a, 'TCP', 4, '127.0.0.1'),
      await serve(inner, 'TCP', 4, '127.0.0.1'),
    ];
    assert.equal(await exchange(inner, '127.0.0.1', inners), 'l7egg');
    assert.equal(await exchange(lab.a, '127.0.0.1', outers), 'l7egg');
    assert.deepEqual(await lab.refusals(enforcer, lab.a), []);
    assert.equal(await lab.came(inner, 'tcp4', '127.0.0.1', `${outers}`), 'EPERM');
    assert.equal(await lab.came(inner, 'tcp4', '198.51.100.1', '80'), 'ok', 'both allow');
    assert.equal(await lab.came(inner, 'tcp4', '198.51.100.2', '80'), 'EPERM', 'the outer one does not');
    assert.equal(await lab.came(lab.a, 'tcp4', '198.51.100.2', '80'), 'EPERM');
  });

  test('two subjects have each its own loopback', async (context) => {
    await lab.judge(context, [lab.a, lab.b], ELSEWHERE);
    for (const [own, other] of [
      [lab.a, lab.b],
      [lab.b, lab.a],
    ] as const) {
      const [tcp, udp] = [await serve(own, 'TCP', 4, '127.0.0.1'), await serve(own, 'UDP', 4, '127.0.0.1')];
      assert.equal(await exchange(own, '127.0.0.1', tcp), 'l7egg');
      assert.equal(await lab.came(other, 'tcp4', '127.0.0.1', `${tcp}`), 'EPERM');
      assert.equal(await lab.came(own, 'udp4', '127.0.0.1', `${udp}`), 'ok');
      assert.equal(await lab.came(other, 'udp4', '127.0.0.1', `${udp}`), 'EPERM');
    }
  });
});
