/*
 * A connection is told once, whoever judges it: a cgroup's hooks and, for some seconds after a change, the interface
 * too. The lab is that of subject-lab.ts.
 */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { curl } from '../lab/clients.ts';
import { webAddress } from './learning-lab.ts';
import { l7egg } from './robust-lab.ts';
import { createSubjectLab, type SubjectLab } from './subject-lab.ts';

const WAY = ['-iface=eth0', '-eface=eth0'];
const ONE = webAddress(1).v4;

let lab: SubjectLab;
before(async () => {
  lab = await createSubjectLab();
});
after(() => lab.close());

test('a connection of a subject, which its interface judges as well, is told and counted once', async (context) => {
  const subject = `cgroup:${lab.a.path}`;
  const documents = [{ rules: [] }, { subject, rules: [{ name: 'mine', cidrs: [ONE] }] }];
  const enforcer = await lab.judgeBy(context, documents, WAY);
  const since = enforcer.events().length;
  assert.equal((await curl(lab.a, `http://${ONE}/`)).exitCode, 0);
  await enforcer.waitForEvent(({ reason }) => reason === 'ended', 5_000, since);
  const told = enforcer.events(since).filter(({ dst }) => dst === ONE);
  assert.deepEqual(
    told.map(({ verdict, reason, rule, count }) => [verdict, reason, rule, count]),
    [
      ['allow', 'rule-cidr', 'mine', 1],
      ['allow', 'ended', 'mine', 1],
    ],
  );
  assert.equal((await curl(lab.a, `http://${ONE}/`)).exitCode, 0);
  const { stdout } = await l7egg(lab.host, 'status', '-json', `-instance=${enforcer.instance}`);
  const { rules } = JSON.parse(stdout);
  assert.deepEqual(
    rules.map(({ rule, allowed }: { rule: string; allowed: number }) => [rule, allowed]),
    [['mine', 2]],
  );
});
