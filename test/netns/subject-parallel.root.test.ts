/*
 * Many processes of several subjects at once, on all CPUs: programs of theirs interrupt each other, and each needs a
 * scratch area of its own. The lab is that of subject-lab.ts; the n-th cgroup may reach names under .sN.example, and
 * all of them the resolver. What one subject learns is refused to the next.
 */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { freshRecords } from '../lab/first-packet.ts';
import { createSubjectLab, RESOLVER, type SubjectLab, scriptPath } from './subject-lab.ts';
import type { Load, LoadReport } from './subject-load.ts';

const SUBJECTS = 4;
const PROCESSES = 4;
const NAMES = 125; // of each process: 2,000 in all
const PARALLEL = 25;
const SUFFIXES = Array.from({ length: SUBJECTS }, (_, index) => `s${index}.example`);

let lab: SubjectLab;

before(async () => {
  // Their addresses are those of the last names of one long list, so no two subjects share any.
  const each = PROCESSES * NAMES;
  const all = freshRecords({ suffix: 'x', nonce: 'x', count: SUBJECTS * each, family: 6 });
  lab = await createSubjectLab(
    all.map(({ value }, index) => ({
      name: `p-${index % each}.${SUFFIXES[Math.floor(index / each)]}`,
      type: 'AAAA',
      value,
    })),
  );
});
after(() => lab.close());

test(`${SUBJECTS * PROCESSES * NAMES} lookups and connects of ${SUBJECTS} subjects at once: none lost, none wrong`, async (context) => {
  const cgroups = SUFFIXES.map((_, index) => lab.cgroup(`p${index}`));
  const enforcer = await lab.judgeBy(
    context,
    cgroups.map(({ path }, index) => ({
      subject: `cgroup:${path}`,
      rules: [{ suffixes: [`.${SUFFIXES[index]}`] }],
    })),
  );
  const retransmits = () => Number(netstat(lab.host.must('cat', ['/proc/net/netstat']), 'TCPSynRetrans'));
  const before = retransmits();
  const running = cgroups.flatMap((cgroup, index) =>
    Array.from({ length: PROCESSES }, async (_, process_) => {
      const load: Load = {
        resolver: RESOLVER.v4,
        suffix: SUFFIXES[index] ?? '',
        nonce: 'p',
        first: process_ * NAMES,
        count: NAMES,
        parallel: PARALLEL,
        blocked: '2001:db8:2::66',
      };
      const done = await cgroup.runAsync(
        process.execPath,
        [scriptPath('subject-load'), JSON.stringify(load)],
        {
          timeoutMs: 60_000,
        },
      );
      assert.equal(done.code, 0, done.stderr);
      const report: LoadReport = JSON.parse(done.stdout);
      return report;
    }),
  );
  const reports = await Promise.all(running);
  assert.deepEqual(
    reports.flatMap(({ failures }) => failures),
    [],
  );
  assert.equal(sum(reports.map(({ connected }) => connected)), SUBJECTS * PROCESSES * NAMES);
  assert.equal(sum(reports.map(({ refused }) => refused)), SUBJECTS * PROCESSES * NAMES);
  assert.equal(retransmits() - before, 0, 'no first packet was lost');
  const told = await lab.refusals(enforcer, cgroups[0] ?? lab.a);
  const wrong = told.filter(({ dst }) => dst !== '2001:db8:2::66');
  assert.deepEqual(wrong, []);
  // What each learned is not the next one's.
  for (const [index, cgroup] of cgroups.entries()) {
    const own = `2001:db8:2::f:0:${(index * PROCESSES * NAMES).toString(16)}`;
    const others = `2001:db8:2::f:0:${(((index + 1) % SUBJECTS) * PROCESSES * NAMES).toString(16)}`;
    assert.equal(await lab.came(cgroup, 'tcp6', own, '80'), 'ok');
    assert.equal(await lab.came(cgroup, 'tcp6', others, '80'), 'EPERM');
  }
});

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, each) => total + each, 0);
}

/** One counter of /proc/net/netstat, where each group has a line of names and a line of values. */
function netstat(text: string, name: string): string | undefined {
  const [names = '', values = ''] = text.split('\n').filter((line) => line.startsWith('TcpExt:'));
  return values.split(' ')[names.split(' ').indexOf(name)];
}
