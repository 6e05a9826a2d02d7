/*
 * Learning for subjects: the answer to a subject's own lookup teaches it, and nobody else. The lab is that of
 * subject-lab.ts; A may reach names under .ok.example and .fresh.example.
 */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { connectAtFirstPacket, type Place } from '../lab/clients.ts';
import { type FreshNames, freshRecords } from '../lab/first-packet.ts';
import { startDnsmasqForwarder } from '../lab/resolvers.ts';
import { isAtOnce, isRefused, passes, webAddress } from './learning-lab.ts';
import { createSubjectLab, NAMES, RESOLVER, type SubjectLab } from './subject-lab.ts';

const COUNT = 500;
const FRESH: FreshNames = { suffix: 'fresh.example', nonce: 's', count: COUNT, family: 6 };
const V4: FreshNames = { suffix: 'fresh.example', nonce: 'v', count: 200, family: 4 };
const ALLOW = ['-cn=.ok.example', '-cn=.fresh.example'];
const ONE = webAddress(1);
const TWO = webAddress(2);
const THREE = webAddress(3);
const NO = webAddress(4);

describe('a subject learns', () => {
  let lab: SubjectLab;
  before(async () => {
    lab = await createSubjectLab([...freshRecords(FRESH), ...freshRecords(V4)]);
  });
  after(() => lab.close());

  const dig = (place: Place, ...words: string[]) =>
    place.runAsync('dig', [`@${RESOLVER.v4}`, '+time=1', '+tries=1', '+short', ...words]);

  async function assertNoneLost(place: Place, names: FreshNames, resolver: string): Promise<void> {
    const { answered, connected, synRetransmits, failures } = await connectAtFirstPacket(place, {
      ...names,
      resolver,
      resolverPort: 53,
      parallel: 16,
      connectPort: 80,
      limitMs: 5_000,
    });
    assert.deepEqual(
      { answered, connected, synRetransmits, failures },
      { answered: names.count, connected: names.count, synRetransmits: 0, failures: [] },
    );
  }

  test(`${COUNT} first packets pass with the enforcer alive, and as many after kill -9`, async (context) => {
    const enforcer = await lab.judge(context, [lab.a], ALLOW);
    await isRefused(lab.a, '2001:db8:2::f:0:0');
    await assertNoneLost(lab.a, FRESH, RESOLVER.v4);
    await assertNoneLost(lab.a, V4, RESOLVER.v6);
    await enforcer.stop();
    const second = await lab.judge(context, [lab.a], ALLOW);
    second.process.kill('SIGKILL');
    await second.process.exited;
    await isRefused(lab.a, '2001:db8:2::f:0:0');
    await assertNoneLost(lab.a, FRESH, RESOLVER.v6);
    await assertNoneLost(lab.a, V4, RESOLVER.v4);
    await isRefused(lab.a, '203.0.113.200');
  });

  for (const proto of ['+notcp', '+tcp']) {
    test(`from an answer by dig ${proto}, and nothing of a name that is not listed`, async (context) => {
      const enforcer = await lab.judge(context, [lab.a], ALLOW);
      await isRefused(lab.a, ONE.v4);
      assert.equal((await dig(lab.a, proto, 'one.ok.example')).stdout, `${ONE.v4}\n`);
      await passes(lab.a, ONE.v4);
      await isRefused(lab.a, ONE.v6);
      assert.equal((await dig(lab.a, proto, 'one.ok.example', 'AAAA')).stdout, `${ONE.v6}\n`);
      await passes(lab.a, ONE.v6);
      assert.equal((await dig(lab.a, proto, 'no.example')).stdout, `${NO.v4}\n`);
      await isRefused(lab.a, NO.v4);
      await enforcer.stop();
      await passes(lab.a, NO.v4);
    });
  }

  test('from a stub on loopback that is trusted, over UDP and TCP, and not from one that is not', async (context) => {
    const upstream = { address: RESOLVER.v4, port: 53 };
    for (const address of ['127.0.0.53', '127.0.0.54'])
      await startDnsmasqForwarder(lab.host, upstream, { addresses: [address] });
    await lab.enforce(context, ['-mode=cgroup', `-cgroup=${lab.a.path}`, ...ALLOW, '-resolver=127.0.0.53']);
    const ask = (server: string, ...words: string[]) =>
      lab.a.runAsync('dig', [`@${server}`, '+time=1', '+tries=1', '+short', ...words]);
    await assertNoneLost(lab.a, V4, '127.0.0.53');
    await isRefused(lab.a, THREE.v6);
    assert.notEqual((await ask('127.0.0.54', 'three.ok.example', 'AAAA')).stdout, `${THREE.v6}\n`);
    await isRefused(lab.a, THREE.v6);
    assert.equal((await ask('127.0.0.53', '+tcp', 'three.ok.example', 'AAAA')).stdout, `${THREE.v6}\n`);
    await passes(lab.a, THREE.v6);
  });

  test('for itself only: not for another subject, nor for the host', async (context) => {
    await lab.judgeBy(
      context,
      [
        { rules: [{ suffixes: ['.ok.example'] }] },
        { subject: `cgroup:${lab.a.path}`, rules: [{ suffixes: ['.ok.example'] }] },
        { subject: `cgroup:${lab.b.path}`, rules: [{ suffixes: ['.ok.example'] }] },
      ],
      ['-iface=eth0', '-eface=eth0'],
    );
    const places: readonly Place[] = [lab.a, lab.b, lab.host];
    for (const [index, asking] of places.entries()) {
      const name = NAMES[index] ?? '';
      const { v4 } = webAddress(index + 1);
      for (const each of places) await isRefused(each, v4);
      await passes(asking, name, { args: ['-4'] });
      for (const each of places) {
        if (each === asking) await passes(each, v4);
        else await isRefused(each, v4);
      }
    }
  });

  test('an answer that another subject asked for teaches nothing, though both list the name', async (context) => {
    await lab.judge(context, [lab.a, lab.b], ALLOW);
    await passes(lab.b, 'two.ok.example');
    await isRefused(lab.a, TWO.v4);
    await passes(lab.a, 'two.ok.example');
    await passes(lab.a, TWO.v4);
  });

  test('under -dns=strict lookups of other names fail at once, listed ones pass', async (context) => {
    const enforcer = await lab.judge(context, [lab.a], [...ALLOW, '-dns=strict']);
    await passes(lab.a, 'one.ok.example');
    assert.equal((await dig(lab.a, '+tcp', 'two.ok.example')).stdout, `${TWO.v4}\n`);
    for (const attempt of ['udp4', 'connected4']) {
      assert.equal(await lab.came(lab.a, attempt, RESOLVER.v4, '53'), 'EPERM', 'what is no query');
    }
    await isAtOnce(async () => {
      const { code, ms, stderr } = await lab.a.runAsync('curl', ['-sS', '-m5', 'http://no.example/']);
      assert.equal(code, 6, stderr);
      return ms;
    });
    const event = await enforcer.waitForEvent(({ qname }) => qname === 'no.example');
    assert.deepEqual(
      [event.verdict, event.reason, event.comm, event.subject],
      ['deny', 'dns-strict', 'curl', `cgroup:${lab.a.path}`],
    );
    const overTcp = await dig(lab.a, '+tcp', 'no.example');
    assert.notEqual(overTcp.stdout, `${NO.v4}\n`);
    assert.equal((await dig(lab.b, 'no.example')).stdout, `${NO.v4}\n`, 'who is no subject looks it up');
  });

  test('a denied name is not looked up, and the others are', async (context) => {
    const enforcer = await lab.judge(context, [lab.a], [...ALLOW, '-deny-name=two.ok.example']);
    await passes(lab.a, 'one.ok.example');
    await isAtOnce(async () => {
      const { code, ms } = await lab.a.runAsync('curl', ['-sS', '-m5', 'http://two.ok.example/']);
      assert.equal(code, 6);
      return ms;
    });
    const event = await enforcer.waitForEvent(({ qname }) => qname === 'two.ok.example');
    assert.deepEqual([event.reason, event.rule], ['dns-denied', '-deny-name=two.ok.example']);
    await isRefused(lab.a, TWO.v4);
    await enforcer.stop();
    await passes(lab.a, 'two.ok.example');
  });

  test('DNS to anybody but the trusted resolver is a call like any other', async (context) => {
    await lab.judge(context, [lab.a], ALLOW);
    assert.equal(await lab.came(lab.a, 'udp4', webAddress(66).v4, '53'), 'EPERM');
    assert.equal(await lab.came(lab.a, 'tcp4', webAddress(66).v4, '53'), 'EPERM');
    assert.equal(await lab.came(lab.a, 'tcp4', RESOLVER.v4, '80'), 'EPERM', 'its other ports');
  });
});
