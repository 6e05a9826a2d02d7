/*
 * A TCP connection that was opened while its other end was an ordinary host, and is a trusted resolver now: names in
 * it are judged like all others. test/lab/topology.ts, dnsmasq on 192.0.2.53.
 */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { framed, query } from '../bpf/dns-exchange.ts';
import { dig } from '../lab/clients.ts';
import { type Lab, RESOLVERS } from '../lab/topology.ts';
import { type RunningEnforcer, startEnforcer } from './enforcer.ts';
import { openEchoFlow } from './learning-flow.ts';
import { ALLOWED, createRobustLab, FLAGS, killNow, startFor } from './robust-lab.ts';

const [{ v4: SERVER }] = RESOLVERS;
const DENIED = 'www.no.example';
/** Not a resolver at all. */
const ELSEWHERE = '192.0.2.99';

describe('a TCP connection to what became the resolver', () => {
  let lab: Lab;
  before(async () => {
    lab = await createRobustLab();
  });
  after(() => lab.close());

  for (const setting of ['-deny-name=*.no.example', '-dns=strict']) {
    test(`under ${setting}: a refused name in it ends it, and never leaves`, async (context) => {
      const flags = [...FLAGS, `-cidr=${SERVER}`, '-port=1-65535/tcp,1-65535/udp'];
      const first = await startFor(context, lab.host, [...flags, `-resolver=${ELSEWHERE}`]);
      using flow = await openEchoFlow(lab.host, `TCP4:${SERVER}:53`);
      await killNow(first);
      const enforcer: RunningEnforcer = await startEnforcer(
        lab.host,
        [...flags, `-resolver=${SERVER}`, setting],
        { instance: first.instance },
      );
      assert.equal(flow.closed, false);
      assert.match(dig(lab.host, SERVER, [ALLOWED]).stdout, /status: NOERROR/);
      await flow.untilClosed(framed(query({ qname: DENIED })).toString('latin1'));
      const told = await enforcer.waitForEvent(({ qname }) => qname === DENIED);
      assert.deepEqual([told.verdict, told.proto], ['deny', 'tcp']);
      await enforcer.stop();
    });
  }
});
