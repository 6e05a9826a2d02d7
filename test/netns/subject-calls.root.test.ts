/*
 * What a process of a subject is told when it calls: allowed passes, anything else fails at once. The lab is that of
 * subject-lab.ts; cgroup A may reach 198.51.100.1 and 2001:db8:2::1.
 */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { isAtOnce } from './learning-lab.ts';
import { createSubjectLab, type SubjectLab } from './subject-lab.ts';

const OK = { v4: '198.51.100.1', v6: '2001:db8:2::1', mapped: '::ffff:198.51.100.1' };
const NO = { v4: '198.51.100.66', v6: '2001:db8:2::66', mapped: '::ffff:198.51.100.66' };
const ALLOW = [`-cidr=${OK.v4}`, `-cidr=${OK.v6}`];

/** Each kind of call, to an allowed address and to one that is not. */
const CALLS: readonly (readonly [attempt: string, family: keyof typeof OK, ...rest: string[]])[] = [
  ['tcp4', 'v4', '80'],
  ['tcp6', 'v6', '80'],
  ['tcp6', 'mapped', '80'],
  ['mptcp', 'v4', '80'],
  ['fastopen', 'v4', '80'],
  ['udp4', 'v4', '7'],
  ['udp6', 'v6', '7'],
  ['udp6', 'mapped', '7'],
  ['connected4', 'v4', '7'],
  ['connected6', 'v6', '7'],
  ['connected6', 'mapped', '7'],
  ['ping4', 'v4'],
  ['raw4', 'v4'],
  ['raw6', 'v6'],
];

describe('calls of a subject', () => {
  let lab: SubjectLab;
  before(async () => {
    lab = await createSubjectLab();
  });
  after(() => lab.close());

  for (const [attempt, family, ...rest] of CALLS) {
    test(`${attempt} to ${family}: passes, is refused at once, passes again`, async (context) => {
      const [ok, no] = [OK[family], NO[family]];
      assert.equal(await lab.came(lab.a, attempt, no, ...rest), 'ok', 'before');
      const enforcer = await lab.judge(context, [lab.a], ALLOW);
      assert.equal(await lab.came(lab.a, attempt, ok, ...rest), 'ok', 'what is allowed');
      await isAtOnce(async () => {
        const { came, ms } = await lab.attempt(lab.a, attempt, no, ...rest);
        assert.equal(came, 'EPERM');
        return ms;
      });
      assert.equal(await lab.came(lab.b, attempt, no, ...rest), 'ok', 'a process of another cgroup');
      assert.equal(await lab.came(lab.host, attempt, no, ...rest), 'ok', 'a process of the host');
      await enforcer.stop();
      assert.equal(await lab.came(lab.a, attempt, no, ...rest), 'ok', 'after');
    });
  }

  /* The kernel drops the error that its socket is told (icmpv6_push_pending_frames). */
  test('ping6: passes, is dropped, passes again', async (context) => {
    assert.equal(await lab.came(lab.a, 'ping6', NO.v6), 'ok', 'before');
    const enforcer = await lab.judge(context, [lab.a], ALLOW);
    assert.equal(await lab.came(lab.a, 'ping6', OK.v6), 'ok', 'what is allowed');
    assert.equal(await lab.came(lab.a, 'ping6', NO.v6), 'silence');
    assert.equal(await lab.came(lab.b, 'ping6', NO.v6), 'ok', 'a process of another cgroup');
    await enforcer.stop();
    assert.equal(await lab.came(lab.a, 'ping6', NO.v6), 'ok', 'after');
  });

  test('a UDP socket that has sent to an allowed address is judged anew elsewhere', async (context) => {
    const enforcer = await lab.judge(context, [lab.a], [...ALLOW, '-cidr=198.51.100.2,2001:db8:2::2']);
    for (const [attempt, family, other] of [
      ['aside4', 'v4', '198.51.100.2'],
      ['aside6', 'v6', '2001:db8:2::2'],
      ['moved4', 'v4', '198.51.100.2'],
      ['moved6', 'v6', '2001:db8:2::2'],
    ] as const) {
      // A connected socket hears its peer only.
      const heard = attempt.startsWith('aside') ? 'silence' : 'ok';
      assert.equal(await lab.came(lab.a, attempt, OK[family], '7', other), heard, attempt);
      assert.equal(await lab.came(lab.a, attempt, OK[family], '7', NO[family]), 'EPERM', attempt);
    }
    await enforcer.stop();
    assert.equal(await lab.came(lab.a, 'moved4', OK.v4, '7', NO.v4), 'ok', 'after');
  });

  test('a packet with headers of its own is judged by them', async (context) => {
    const forge = (to: string) => lab.came(lab.a, 'forge', '192.0.2.2', '40000', to, '7');
    const enforcer = await lab.judge(context, [lab.a], ALLOW);
    assert.deepEqual([await forge(OK.v4), await forge(NO.v4)], ['ok', 'EPERM']);
    await enforcer.stop();
    assert.equal(await forge(NO.v4), 'ok', 'after');
  });

  test('a rule that names ports and types of ICMP is kept to', async (context) => {
    await lab.judge(context, [lab.a], [...ALLOW, '-port=443/tcp,7/udp,icmp']);
    const came = (...words: string[]) => lab.came(lab.a, ...words);
    assert.equal(await came('tcp4', OK.v4, '443'), 'ok');
    assert.equal(await came('tcp4', OK.v4, '80'), 'EPERM');
    assert.equal(await came('udp4', OK.v4, '7'), 'ok');
    assert.equal(await came('udp4', OK.v4, '8'), 'EPERM');
    assert.equal(await came('ping4', OK.v4), 'ok');
    assert.equal(await came('ping6', OK.v6), 'ok');
    assert.equal(await came('ping4', NO.v4), 'EPERM');
  });

  test('under -audit nothing fails, and what would is told', async (context) => {
    const enforcer = await lab.judge(context, [lab.a], [...ALLOW, '-audit']);
    assert.equal(await lab.came(lab.a, 'tcp4', NO.v4, '80'), 'ok');
    assert.equal(await lab.came(lab.a, 'udp4', NO.v4, '7'), 'ok');
    for (const proto of ['tcp', 'udp']) {
      await enforcer.waitForEvent(
        (event) => event.verdict === 'would_deny' && event.proto === proto && event.dst === NO.v4,
      );
    }
  });

  test('a deny rule stands before what allows, and is named', async (context) => {
    const enforcer = await lab.judge(context, [lab.a], ['-cidr=198.51.100.0/24', `-deny-cidr=${NO.v4}`]);
    assert.equal(await lab.came(lab.a, 'tcp4', OK.v4, '80'), 'ok');
    assert.equal(await lab.came(lab.a, 'tcp4', NO.v4, '80'), 'EPERM');
    const event = await enforcer.waitForEvent(({ reason }) => reason === 'deny-cidr');
    assert.equal(event.rule, `-deny-cidr=${NO.v4}`);
  });

  test('events of refusals name process, rule or reason, and the subject', async (context) => {
    const enforcer = await lab.judge(context, [lab.a], ALLOW);
    const told = (proto: string, dst: string) =>
      enforcer.waitForEvent((event) => event.kind === 'flow' && event.proto === proto && event.dst === dst);
    await lab.came(lab.a, 'tcp4', NO.v4, '80');
    const { verdict, reason, subject, iface, comm, pid, dport } = await told('tcp', NO.v4);
    assert.deepEqual(
      { verdict, reason, subject, iface, comm, dport },
      {
        verdict: 'deny',
        reason: 'no-rule',
        subject: `cgroup:${lab.a.path}`,
        iface: '-',
        comm: 'probe',
        dport: 80,
      },
    );
    assert.ok(pid);
    await lab.came(lab.a, 'udp4', NO.v4, '7');
    const udp = await told('udp', NO.v4);
    assert.deepEqual(
      [udp.verdict, udp.comm, udp.subject, udp.iface],
      ['deny', 'probe', `cgroup:${lab.a.path}`, 'eth0'],
    );
    await lab.came(lab.a, 'tcp4', OK.v4, '80');
    const allowed = await told('tcp', OK.v4);
    assert.deepEqual(
      [allowed.verdict, allowed.rule, allowed.comm, allowed.subject],
      ['allow', `-cidr=${OK.v4}`, 'probe', `cgroup:${lab.a.path}`],
    );
  });
});
