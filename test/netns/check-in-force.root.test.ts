/*
 * What `check` says of a policy in force, next to what `check -policy` says of the same file and what then happens. The
 * lab is that of subject-lab.ts.
 */
import assert from 'node:assert/strict';
import { after, before, describe, type TestContext, test } from 'node:test';
import type { RunningEnforcer } from './enforcer.ts';
import { l7egg } from './robust-lab.ts';
import { createSubjectLab, type SubjectLab } from './subject-lab.ts';

const ONE = '198.51.100.1';
const OTHER = '198.51.100.66';
const PINGED = '203.0.113.5';
const PRIVATE = '10.7.7.7';
const WAY = ['-iface=eth0', '-eface=eth0'];

let lab: SubjectLab;
before(async () => {
  lab = await createSubjectLab([{ name: 'private.example', type: 'A', value: PRIVATE, ttl: 60 }]);
});
after(() => lab.close());

async function check(words: readonly string[]): Promise<string> {
  const { code, stdout, stderr } = await l7egg(lab.host, 'check', ...words);
  assert.equal(stderr, '');
  assert.equal(code, stdout.startsWith('allow ') ? 0 : 1, stdout);
  return stdout.trimEnd();
}

async function enforceBoth(
  context: TestContext,
  documents: readonly object[],
  flags: readonly string[] = WAY,
): Promise<{ enforcer: RunningEnforcer; verdicts: (target: string, subject: string) => Promise<string[]> }> {
  const enforcer = await lab.judgeBy(context, documents, flags);
  const file = lab.policyFile(documents);
  const verdicts = async (target: string, subject: string) => {
    const asked = [target, `-subject=${subject}`];
    const said = [
      await check([...asked, `-instance=${enforcer.instance}`]),
      await check([...asked, `-policy=${file}`]),
    ];
    return said.map((text) => text.split(' ', 1).join(''));
  };
  return { enforcer, verdicts };
}

describe('check of what is in force', () => {
  test('without a port asks for any that passes, as by the file', async (context) => {
    const { verdicts } = await enforceBoth(context, [
      {
        rules: [
          { action: 'deny', cidrs: [OTHER], ports: ['25/tcp'] },
          { cidrs: [OTHER] },
          { cidrs: [PINGED], ports: ['icmp:8'] },
          { cidrs: [ONE], ports: ['20-30/tcp'] },
          { action: 'deny', cidrs: [ONE], ports: ['1-100/tcp'] },
        ],
      },
    ]);
    assert.deepEqual(await verdicts(OTHER, 'host'), ['allow', 'allow']);
    assert.deepEqual(await verdicts(`${OTHER}:25`, 'host'), ['deny', 'deny']);
    assert.deepEqual(await verdicts(`${OTHER}:80`, 'host'), ['allow', 'allow']);
    assert.deepEqual(await verdicts(PINGED, 'host'), ['deny', 'deny']);
    assert.deepEqual(await verdicts(`${PINGED}:8/icmp`, 'host'), ['allow', 'allow']);
    assert.deepEqual(await verdicts(ONE, 'host'), ['deny', 'deny']);
  });

  test('under -audit says that all passes, and what else', async (context) => {
    const { instance } = await lab.enforce(context, [...WAY, '-audit', `-cidr=${ONE}`]);
    assert.equal(
      await check([`${OTHER}:80`, `-instance=${instance}`]),
      `allow ${OTHER}:80: audit lets all pass; else: no rule holds ${OTHER}`,
    );
    assert.equal(await lab.came(lab.host, 'tcp4', OTHER, '80'), 'ok');
  });

  test('under strict refuses a name whose lookup is refused, wherever it leads', async (context) => {
    const { enforcer, verdicts } = await enforceBoth(context, [
      { dns: 'strict', rules: [{ ports: ['80/tcp'] }] },
    ]);
    assert.deepEqual(await verdicts('one.ok.example:80', 'host'), ['deny', 'deny']);
    assert.match(
      await check(['one.ok.example:80', `-instance=${enforcer.instance}`]),
      /: no rule lists one\.ok\.example, and -dns=strict refuses its lookup$/u,
    );
    assert.deepEqual(await verdicts(`${ONE}:80`, 'host'), ['allow', 'allow']);
    const { code } = await lab.host.runAsync('curl', ['-s', '-m3', 'http://one.ok.example/']);
    assert.equal(code, 6);
  });

  test('of a name that a rule lists for other ports goes by where it leads, too', async (context) => {
    const rules = [
      { names: ['one.ok.example'], ports: ['443/tcp'] },
      { cidrs: [ONE, '2001:db8:2::1'], ports: ['80/tcp'] },
    ];
    const { enforcer } = await enforceBoth(context, [{ rules }]);
    const asked = (port: number) => check([`one.ok.example:${port}`, `-instance=${enforcer.instance}`]);
    assert.match(await asked(80), /^allow /u);
    assert.match(await asked(443), /^allow /u);
    assert.match(await asked(8443), /^deny .* lists one\.ok\.example, but not 8443\/tcp/u);
  });
});

describe('check of another subject', () => {
  test('counts what its own lookup would teach', async (context) => {
    const subject = `cgroup:${lab.a.path}`;
    const rules = [
      { names: ['one.ok.example', 'two.ok.example', 'private.example'], ports: ['80/tcp'] },
      { action: 'deny', cidrs: ['198.51.100.2'] },
    ];
    const { enforcer } = await enforceBoth(context, [{ rules: [] }, { subject, rules }]);
    const asked = (target: string) =>
      check([target, `-subject=${subject}`, `-instance=${enforcer.instance}`]);
    assert.match(await asked('one.ok.example:80'), /^allow .* lists one\.ok\.example$/u);
    assert.match(await asked('one.ok.example:443'), /^deny .*, but not 443\/tcp/u);
    assert.match(await asked('two.ok.example:80'), /198\.51\.100\.2 is refused: .* denies 198\.51\.100\.2/u);
    assert.match(
      await asked('private.example:80'),
      /^deny .* 10\.7\.7\.7 is refused: no rule holds 10\.7\.7\.7, an inward address: -cidr=10\.7\.7\.7 or /u,
    );
    assert.match(await asked('no.example:80'), /^deny .*: no rule lists no\.example/u);
    assert.match(await asked(`${ONE}:80`), /^deny .*: no rule holds 198\.51\.100\.1$/u);
    const { stdout } = await lab.a.runAsync('curl', [
      ...['-4', '-s', '-o', '/dev/null', '-m3', '-w', '%{http_code}', 'http://one.ok.example/'],
    ]);
    assert.equal(stdout, '200');
    assert.match(await asked(`${ONE}:80`), /^allow .* leases 198\.51\.100\.1 for \d+ s more$/u);
  });

  test('takes private addresses where its policy does', async (context) => {
    const subject = `cgroup:${lab.a.path}`;
    const documents = [{ subject, allowPrivateAnswers: true, rules: [{ names: ['private.example'] }] }];
    const { enforcer } = await enforceBoth(context, documents, []);
    assert.match(await check(['private.example:80', `-instance=${enforcer.instance}`]), /^allow /u);
  });
});
