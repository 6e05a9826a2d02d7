/*
 * Lists in their formats: read back by our own readers, without -lenient, they allow what was seen and nothing else.
 */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { FLAGS } from '../../src/cli/flags.ts';
import { normaliseArgs } from '../../src/cli/normalise.ts';
import { parseOptions } from '../../src/cli/options.ts';
import { combinePolicies } from '../../src/formats/combine.ts';
import type { PolicyPart } from '../../src/formats/part.ts';
import { readPolicies } from '../../src/formats/read-policies.ts';
import { judge } from '../../src/policy/judge.ts';
import { mayLookUp } from '../../src/policy/may-look-up.ts';
import type { Policy } from '../../src/policy/policy.ts';
import { parsePort, portText } from '../../src/policy/port.ts';
import { parseAddress } from '../../src/policy/prefix.ts';
import type { SuggestionFormat } from '../../src/suggest/draft.ts';
import type { Seen, SubjectInForce } from '../../src/suggest/seen.ts';
import { mustRun } from '../lab/command.ts';
import { bodyOf, flowTo, HOST, listOf, lookupOf, NOTHING } from './samples.ts';

const FORMATS: readonly SuggestionFormat[] = ['flags', 'l7egg', 'cilium', 'networkpolicy'];
const UDP = { l4Proto: 17 } as const;

const SEEN: Seen = {
  ...NOTHING,
  flows: [
    flowTo('198.51.100.1', 80, 'deb.example'),
    flowTo('198.51.100.1', 443, 'deb.example'),
    flowTo('2001:db8:2::2', 443, 'registry.example'),
    flowTo('198.51.100.3', 22, 'git.example'),
    flowTo('198.51.100.4', 123, 'ntp.example', UDP),
    flowTo('198.51.100.5', 9418),
    flowTo('2001:db8:2::5', 9418),
    flowTo('10.0.0.7', 8443, 'int.example'),
    flowTo('198.51.100.6', 8, 'ping.example', { l4Proto: 1 }),
    flowTo('2001:db8:2::6', 128, undefined, { l4Proto: 58 }),
    flowTo('203.0.113.1', 443, 'refused.example', { fate: 'refused', reasons: ['no-rule'] }),
    flowTo('203.0.113.2', 443, undefined, {
      fate: 'barred',
      reasons: ['deny-cidr'],
      rule: '-deny-cidr=203.0.113.2',
    }),
  ],
  lookups: [
    ...['deb.example', 'registry.example', '_http._tcp.deb.example'].map((name) => lookupOf(name)),
    lookupOf('refused.example', { fate: 'refused' }),
  ],
};

/** Name or address, port as -port takes it. */
type Attempt = readonly [who: string, port: string];

const PASSED: readonly Attempt[] = [
  ['deb.example', '80/tcp'],
  ['deb.example', '443/tcp'],
  ['registry.example', '443/tcp'],
  ['git.example', '22/tcp'],
  ['ntp.example', '123/udp'],
  ['198.51.100.5', '9418/tcp'],
  ['2001:db8:2::5', '9418/tcp'],
  ['int.example', '8443/tcp'],
  ['10.0.0.7', '8443/tcp'],
];
const PINGED: readonly Attempt[] = [
  ['ping.example', 'icmp:8'],
  ['2001:db8:2::6', 'icmpv6:128'],
];
const NOT_SEEN: readonly Attempt[] = [
  ['refused.example', '443/tcp'],
  ['203.0.113.1', '443/tcp'],
  ['203.0.113.2', '443/tcp'],
  ['198.51.100.77', '443/tcp'],
  ['x.deb.example', '443/tcp'],
  ['deb.example', '25/tcp'],
  ['10.0.0.8', '8443/tcp'],
];
/** Of one target on the port of another: flags have one list of ports for all. */
const CROSSED: readonly Attempt[] = [
  ['deb.example', '22/tcp'],
  ['ntp.example', '443/tcp'],
  ['198.51.100.5', '443/tcp'],
  ['git.example', 'icmp:8'],
];

async function policyOf(format: SuggestionFormat, text: string): Promise<Policy> {
  if (format === 'flags') {
    const options = parseOptions(normaliseArgs(wordsOf(`eval "printf '%s\\n' $LIST"`, text), FLAGS));
    assert.ok(options.command === 'enforce');
    return onlyPolicy(options.source.line, []);
  }
  const { parts } = await readPolicies([{ file: 'p.yaml', text }], { lenient: false });
  const line = parseOptions(normaliseArgs(['-policy=p.yaml'], FLAGS));
  assert.ok(line.command === 'enforce');
  return onlyPolicy(line.source.line, parts);
}

function onlyPolicy(line: Parameters<typeof combinePolicies>[0], parts: readonly PolicyPart[]): Policy {
  const [first, ...others] = combinePolicies(line, parts).policies;
  assert.ok(first && others.length === 0);
  return first.policy;
}

/** The words that `script` prints, a line each, with the list in $LIST. */
function wordsOf(script: string, list: string): string[] {
  return mustRun(['sh', '-c', script], { env: { LIST: list } })
    .trim()
    .split('\n');
}

/* Where each name leads to, for formats that know addresses only. */
const ADDRESSES = new Map(
  SEEN.flows.flatMap(({ name, addresses }) => (name === undefined ? [] : [[name, addresses[0] ?? '']])),
);

function verdict(policy: Policy, [who, port]: Attempt, byAddress: boolean): string {
  const [range] = parsePort(port);
  assert.ok(range);
  const isName = /[g-z]/u.test(who);
  const address = isName ? (byAddress ? (ADDRESSES.get(who) ?? '203.0.113.77') : '203.0.113.77') : who;
  const attempt = {
    addr: parseAddress(address),
    l4Proto: range.l4Proto,
    port: range.low,
    names: isName ? [who] : [],
  };
  return judge(policy, attempt).verdict;
}

for (const format of FORMATS) {
  describe(`a list in the format ${format}`, async () => {
    const policy = await policyOf(format, listOf(SEEN, { format }));
    const byAddress = format === 'networkpolicy';
    for (const attempt of PASSED)
      test(`allows ${attempt.join(' ')}`, () => assert.equal(verdict(policy, attempt, byAddress), 'allow'));
    for (const attempt of PINGED)
      test(`${byAddress ? "can't say" : 'allows'} ${attempt.join(' ')}`, () =>
        assert.equal(verdict(policy, attempt, byAddress), byAddress ? 'deny' : 'allow'));
    for (const attempt of NOT_SEEN)
      test(`refuses ${attempt.join(' ')}`, () => assert.equal(verdict(policy, attempt, byAddress), 'deny'));
    for (const attempt of CROSSED)
      test(`${format === 'flags' ? 'allows, as it has one list of ports,' : 'refuses'} ${attempt.join(' ')}`, () =>
        assert.equal(verdict(policy, attempt, byAddress), format === 'flags' ? 'allow' : 'deny'));
    test('leaves lookups open', () => assert.equal(policy.dns, 'open'));
  });
}

for (const format of ['flags', 'l7egg', 'cilium'] as const) {
  describe(`a list in the format ${format} under strict DNS`, async () => {
    const policy = await policyOf(format, listOf(SEEN, { format }, { inForce: { dns: 'strict' } }));
    test('is strict', () => assert.equal(policy.dns, 'strict'));
    for (const name of ['deb.example', '_http._tcp.deb.example', 'int.example'])
      test(`lets ${name} be looked up`, () => assert.equal(mayLookUp(policy, name), true));
    for (const name of ['refused.example', 'x.deb.example', 'test'])
      test(`does not let ${name} be looked up`, () => assert.equal(mayLookUp(policy, name), false));
    test('a name that was only looked up is not called', () => {
      const expected = format === 'flags' ? 'allow' : 'deny';
      assert.equal(verdict(policy, ['_http._tcp.deb.example', '443/tcp'], false), expected);
    });
  });
}

describe('what a policy has besides what it allows goes on', () => {
  const inForce: Partial<SubjectInForce> = {
    allowPrivateAnswers: true,
    inbound: ['22/tcp'],
    rate: '1mbit',
    ceil: '2mbit',
  };
  const denials = [
    { rule: 'deny prefix 203.0.113.0/24 any', source: '-deny-cidr=203.0.113.0/24' },
    { rule: 'deny exact bad.deb.example any', source: '-deny-name=bad.deb.example' },
    { rule: 'deny suffix .evil.example any', source: 'evil' },
  ];
  test('flags', async () => {
    const words = wordsOf(
      `eval "printf '%s\\n' $LIST"`,
      listOf(SEEN, { format: 'flags' }, { inForce, denials }),
    );
    for (const word of [
      '-allow-private-answers',
      '-inbound=22/tcp',
      '-rate=1mbit',
      '-ceil=2mbit',
      '-deny-cidr=203.0.113.0/24',
      '-deny-name=bad.deb.example',
      '-deny-name=**.evil.example',
    ])
      assert.ok(words.includes(word), `${word}: ${words.join(' ')}`);
  });
  test('l7egg', async () => {
    const text = listOf(SEEN, { format: 'l7egg' }, { inForce, denials });
    const { allowPrivateAnswers, inbound, rules } = await policyOf('l7egg', text);
    assert.equal(allowPrivateAnswers, true);
    assert.deepEqual(inbound === 'all' ? [] : inbound.map(portText), ['22/tcp']);
    const denied = rules.filter(({ action }) => action === 'deny').map(({ source }) => source);
    assert.deepEqual(denied, ['-deny-cidr=203.0.113.0/24', '-deny-name=bad.deb.example', 'evil']);
    assert.match(text, /^shaping: \{rate: 1mbit, ceil: 2mbit\}$/mu);
  });
  test('cilium, as far as it can say it', async () => {
    const text = listOf(SEEN, { format: 'cilium' }, { inForce, denials });
    const { rules } = await policyOf('cilium', text);
    assert.deepEqual(rules.filter(({ action }) => action === 'deny').length, 1);
    assert.match(text, /^# -deny-name=bad\.deb\.example denies names, which can not be said/mu);
    assert.match(text, /^# to be given beside this file: .*-inbound=22\/tcp -rate=1mbit -ceil=2mbit$/mu);
  });
});

describe('a list as flags', () => {
  const list = listOf(
    { flows: [flowTo('198.51.100.1', 443, 'a.cdn.example')] },
    { format: 'flags' },
    {
      enforcing: { efaces: ['*'] },
    },
  );
  const expected = ['-iface=eth0', '-eface=*', '-name=a.cdn.example', '-port=443/tcp'];
  test('stands behind a command in a shell', () => {
    assert.deepEqual(wordsOf(`eval "printf '%s\\n' $LIST"`, list), expected);
  });
  test('is words for xargs without its remarks', () => {
    assert.deepEqual(wordsOf(`printf %s "$LIST" | grep -v '^#' | xargs printf '%s\\n'`, list), expected);
  });
  test('has its words on the first line, remarks behind it', () => {
    const [first, ...others] = list.trimEnd().split('\n');
    assert.match(first ?? '', /^-/u);
    assert.ok(others.length > 0 && others.every((line) => line.startsWith('# ')));
  });
});

describe('subjects', () => {
  const subjects = ['host', 'unit:a.service', 'container:web', 'label:app=web', 'cgroup:/a b'].map(
    (subject) => ({
      ...HOST,
      subject,
    }),
  );
  const flows = subjects.map(({ subject }) => flowTo('198.51.100.1', 443, 'a.example', { subject }));
  const list = (format: SuggestionFormat, subject?: string) =>
    listOf({ flows }, { format, ...(subject !== undefined && { subject }) }, { enforcing: { subjects } });
  test('have a document each, which names them', async () => {
    const { parts } = await readPolicies([{ file: 'p.yaml', text: list('l7egg') }], { lenient: false });
    const line = parseOptions(normaliseArgs(['-policy=p.yaml'], FLAGS));
    assert.ok(line.command === 'enforce');
    const { policies } = combinePolicies(line.source.line, parts);
    assert.equal(policies.length, subjects.length);
    assert.ok(policies.every(({ policy }) => policy.rules.length === 1));
  });
  for (const format of ['flags', 'cilium', 'networkpolicy'] as const)
    test(`are not told apart by ${format}`, () => {
      assert.throws(
        () => list(format),
        /say which with -subject, host, unit:a\.service, container:web, label:app=web or cgroup:\/a b is legal/u,
      );
    });
  test('in another network namespace are looked for there', () => {
    const text = listOf(
      { flows: [flowTo('198.51.100.1', 443, 'a.example')] },
      { format: 'flags' },
      {
        enforcing: {
          netns: 'blue',
          areResolversGiven: true,
          resolvers: ['192.0.2.53', '[2001:db8::53]:5353'],
        },
      },
    );
    assert.equal(
      bodyOf(text),
      "-netns=blue -iface=eth0 -eface=eth0 -resolver=192.0.2.53 '-resolver=[2001:db8::53]:5353' -name=a.example -port=443/tcp",
    );
  });
  const rows: readonly (readonly [string, string])[] = [
    ['host', '-iface=eth0 -eface=eth0'],
    ['unit:a.service', '-cgroup=unit:a.service'],
    ['container:web', '-container=web'],
    ['label:app=web', '-label=app=web'],
    ['cgroup:/a b', "'-cgroup=/a b'"],
  ];
  for (const [subject, words] of rows)
    test(`${subject} is ${words} as flags`, () => {
      assert.equal(bodyOf(list('flags', subject)), `${words} -name=a.example -port=443/tcp`);
    });
  test('that have no policy are an error', () => {
    assert.throws(
      () => list('flags', 'unit:b.service'),
      /-subject "unit:b\.service" has no policy in force/u,
    );
  });
  test('whose text no flag can hold are an error', () => {
    const odd = ["cgroup:/a'b", 'cgroup:/a,b', 'cgroup:/a\\b', 'cgroup:/a\u0007b'];
    for (const subject of odd)
      assert.throws(
        () =>
          listOf(
            { flows: [flowTo('198.51.100.1', 443, 'a.example', { subject })] },
            { format: 'flags' },
            { inForce: { subject } },
          ),
        /-format=flags can't say -cgroup/u,
      );
  });
  test('by label are told apart by labels', async () => {
    const labelled = ['label:app=web', 'label:app=db'].map((subject) => ({ ...HOST, subject }));
    const seen = labelled.map(({ subject }, index) =>
      flowTo(`198.51.100.${index}`, 443, `n${index}.example`, { subject }),
    );
    for (const format of ['cilium', 'networkpolicy'] as const) {
      const text = listOf({ flows: seen }, { format }, { enforcing: { subjects: labelled } });
      const { parts } = await readPolicies([{ file: 'p.yaml', text }], {
        lenient: false,
        labels: new Map([['app', 'db']]),
      });
      const allowed = parts.flatMap(({ rules }) => rules.filter(({ action }) => action === 'allow'));
      assert.equal(allowed.length, 1, format);
    }
  });
  test('of run are not named: the command has another cgroup the next time', () => {
    const run = {
      enforcing: { isRun: true, ifaces: [], efaces: [] },
      inForce: { subject: 'cgroup:/l7egg/run-7' },
    } as const;
    const own = [flowTo('198.51.100.1', 443, 'a.example', { subject: 'cgroup:/l7egg/run-7' })];
    assert.equal(
      bodyOf(listOf({ flows: own }, { format: 'flags' }, run)),
      '-dns=open -name=a.example -port=443/tcp',
    );
    assert.doesNotMatch(listOf({ flows: own }, { format: 'l7egg' }, run), /^subject:/mu);
  });
});

describe('more ports than a rule may have', () => {
  const many = (count: number) =>
    Array.from({ length: count }, (_, index) => flowTo('198.51.100.1', 1_000 + 10 * index, 'a.example'));
  test('are split into rules that say no more', async () => {
    for (const format of ['l7egg', 'cilium', 'networkpolicy'] as const) {
      const policy = await policyOf(format, listOf({ flows: many(60) }, { format }));
      assert.ok(policy.rules.filter(({ action }) => action === 'allow').length >= 4, format);
      for (const index of [0, 17, 59])
        assert.equal(verdictOf(policy, 1_000 + 10 * index), 'allow', `${format} ${index}`);
      assert.equal(verdictOf(policy, 1_005), 'deny');
    }
  });
  test('are joined as flags, and that is said', async () => {
    const text = listOf({ flows: many(20) }, { format: 'flags' });
    assert.match(text, /^# there is room for 16 ranges of ports/mu);
    const policy = await policyOf('flags', text);
    for (const index of [0, 7, 19]) assert.equal(verdictOf(policy, 1_000 + 10 * index), 'allow');
    assert.equal(verdictOf(policy, 999), 'deny');
  });
  test('are joined where not even eight rules are enough, and that is said', async () => {
    const text = listOf({ flows: many(400) }, { format: 'l7egg' });
    assert.match(text, /^# a\.example has more ports than rules for it may have/mu);
    const policy = await policyOf('l7egg', text);
    assert.ok(policy.rules.length <= 4);
    for (const index of [0, 199, 399]) assert.equal(verdictOf(policy, 1_000 + 10 * index), 'allow');
  });
  function verdictOf(policy: Policy, port: number): string {
    const address = parseAddress('198.51.100.1');
    return judge(policy, { addr: address, l4Proto: 6, port, names: ['a.example'] }).verdict;
  }
});
