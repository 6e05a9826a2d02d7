import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { NothingAppliesError } from '../../src/errors.ts';
import { type Combined, type CommandLinePolicy, combinePolicies } from '../../src/formats/combine.ts';
import type { PolicyPart } from '../../src/formats/part.ts';
import { parseFlagRules } from '../../src/policy/flag-rules.ts';
import type { Policy } from '../../src/policy/policy.ts';
import type { Rule } from '../../src/policy/rule.ts';
import { parseSubject, subjectText } from '../../src/policy/subject.ts';

const PORT_22 = [{ l4Proto: 6, low: 22, high: 22 }];
const PORT_80 = [{ l4Proto: 6, low: 80, high: 80 }];

function rule(name: string, source = name): Rule {
  return { who: { kind: 'exact', name }, action: 'allow', ports: [], source };
}

function line(more: Partial<CommandLinePolicy> = {}): CommandLinePolicy {
  return {
    subjects: [{ kind: 'host' }],
    rules: [],
    defaultDns: 'open',
    audit: false,
    allowPrivateAnswers: false,
    ...more,
  };
}

function part(
  name: string,
  { subject, ...more }: Partial<Omit<PolicyPart, 'subject'>> & { subject?: string } = {},
): PolicyPart {
  return {
    name,
    restricts: true,
    rules: [rule(name)],
    ...(subject && { subject: parseSubject(subject) }),
    ...more,
  };
}

/** `SUBJECT: SOURCE…` of each policy. */
function told({ policies }: Combined): string[] {
  return policies.map(({ subject, policy }) =>
    `${subjectText(subject)}: ${policy.rules.map(({ source }) => source).join(' ')}`.trim(),
  );
}

function onlyPolicy({ policies }: Combined): Policy {
  assert.equal(policies.length, 1);
  const [first] = policies;
  assert.ok(first);
  return first.policy;
}

describe('combinePolicies gives rules to', () => {
  const rules = [rule('flag')];
  const rows: readonly (readonly [title: string, combined: Combined, ...told: string[]])[] = [
    ['the host, of flags', combinePolicies(line({ rules }), []), 'host: flag'],
    ['the host without any: nothing is allowed', combinePolicies(line(), []), 'host:'],
    [
      'whom the command line names',
      combinePolicies(line({ subjects: [parseSubject('cgroup:/a'), parseSubject('cgroup:/b')], rules }), [
        part('x'),
      ]),
      'cgroup:/a: flag x',
      'cgroup:/b: flag x',
    ],
    [
      'the subject of a part only',
      combinePolicies(line(), [part('x', { subject: 'unit:a' })]),
      'unit:a.service: x',
    ],
    [
      'the host by flags, another by a part',
      combinePolicies(line({ rules }), [part('x', { subject: 'unit:a' })]),
      'host: flag',
      'unit:a.service: x',
    ],
    [
      'a subject of two parts: both',
      combinePolicies(line(), [part('x', { subject: 'unit:a' }), part('y', { subject: 'unit:a.service' })]),
      'unit:a.service: x y',
    ],
    [
      'the host of a part and of flags: both',
      combinePolicies(line({ rules }), [part('x', { subject: 'host' })]),
      'host: flag x',
    ],
    [
      'the host by a part that names nobody, another by one that does',
      combinePolicies(line(), [part('x'), part('y', { subject: 'pid:7' })]),
      'host: x',
      'pid:7: y',
    ],
    ['a subject of a part that has none', combinePolicies(line(), [part('x', { rules: [] })]), 'host:'],
    [
      'a subject that one part restricts, of all its parts',
      combinePolicies(line(), [part('x', { restricts: false }), part('y')]),
      'host: x y',
    ],
    [
      'a subject of flags, though no part restricts it',
      combinePolicies(line({ rules }), [part('x', { restricts: false })]),
      'host: flag x',
    ],
  ];
  for (const [title, combined, ...expected] of rows)
    test(title, () => assert.deepEqual(told(combined), expected));

  test('nobody whom no part restricts, and says so', () => {
    const { policies, unrestricted, remarks } = combinePolicies(line(), [
      part('x', { restricts: false, subject: 'pid:7' }),
    ]);
    assert.deepEqual([policies, unrestricted.map(subjectText)], [[], ['pid:7']]);
    assert.deepEqual(remarks, ['pid:7: no policy restricts its egress, so it is open']);
  });

  test('who is not restricted and denied something: all but that', () => {
    const denial: Rule = { ...rule('evil.test'), action: 'deny' };
    const { policies, unrestricted, remarks } = combinePolicies(line(), [
      part('x', { restricts: false, rules: [denial, rule('a.test')] }),
    ]);
    assert.deepEqual(unrestricted, []);
    assert.deepEqual(
      policies.map(({ policy }) => policy.rules),
      [
        [
          { ...denial, policy: 'x' },
          { who: { kind: 'any' }, action: 'allow', ports: [], source: 'not restricted' },
        ],
      ],
    );
    assert.deepEqual(remarks, ['host: no policy restricts its egress, so it is open but for what is denied']);
  });

  test('who is denied something where another part restricts: no more than that allows', () => {
    const denial: Rule = { ...rule('evil.test'), action: 'deny' };
    const parts = [part('x', { restricts: false, rules: [denial] }), part('y')];
    const { policies } = combinePolicies(line(), parts);
    assert.deepEqual(
      policies.map(({ policy, names }) => [policy.rules, names]),
      [
        [
          [
            { ...denial, policy: 'x' },
            { ...rule('y'), policy: 'y' },
          ],
          ['x', 'y'],
        ],
      ],
    );
  });

  test('nobody who would be open because of what -lenient left out', () => {
    const leftOut = part('np', { restricts: false, rules: [], isLeftOut: true });
    const open = part('open', { restricts: false, rules: [] });
    for (const parts of [[leftOut], [leftOut, open], [leftOut, part('other', { subject: 'pid:7' })]])
      assert.throws(
        () => combinePolicies(line(), parts),
        new NothingAppliesError(
          'host: nothing would restrict its egress, and "np", which -lenient leaves out, may be for it: -label and -network say that',
        ),
      );
    assert.equal(combinePolicies(line(), [leftOut, part('y')]).policies.length, 1);
    assert.equal(combinePolicies(line({ rules: [rule('z')] }), [leftOut]).policies.length, 1);
  });

  test('private answers only where no part refuses them', () => {
    const yes = part('yes', { allowPrivateAnswers: true });
    const no = part('no', { allowPrivateAnswers: false });
    const allows = (...parts: PolicyPart[]) => {
      const { policies, remarks } = combinePolicies(line(), parts);
      return [policies[0]?.policy.allowPrivateAnswers, remarks.length];
    };
    assert.deepEqual(allows(yes), [true, 0]);
    assert.deepEqual(allows(yes, part('z')), [true, 0]);
    assert.deepEqual(allows(no), [false, 0]);
    assert.deepEqual(allows(yes, no), [false, 1]);
  });

  test('each rule once, by its first source', () => {
    const combined = combinePolicies(line({ rules: [rule('a', '-name=a')] }), [
      part('x', { rules: [rule('a', 'x rule 1')] }),
    ]);
    assert.deepEqual(told(combined), ['host: -name=a']);
    assert.deepEqual(combined.remarks, ['"x rule 1" says the same as "-name=a": taken once']);
  });

  test('the same rule to two subjects each', () => {
    const combined = combinePolicies(line(), [
      part('x', { subject: 'pid:7' }),
      part('x', { subject: 'pid:8' }),
    ]);
    assert.deepEqual(told(combined), ['pid:7: x', 'pid:8: x']);
    assert.deepEqual(combined.remarks, []);
  });
});

describe('combinePolicies takes the setting', () => {
  const STRICT = part('s', { dns: 'strict' });
  const OPEN = part('o', { dns: 'open' });
  const rows: readonly (readonly [
    title: string,
    flags: Partial<CommandLinePolicy>,
    parts: readonly PolicyPart[],
    policy: Partial<Policy>,
  ])[] = [
    ['dns open by default', {}, [part('x')], { dns: 'open' }],
    ['dns strict where that is the default', { defaultDns: 'strict' }, [part('x')], { dns: 'strict' }],
    ['dns of a part before the default', { defaultDns: 'strict' }, [OPEN], { dns: 'open' }],
    ['dns of the flag before all', { dns: 'open' }, [STRICT], { dns: 'open' }],
    ['dns strict of parts that differ', {}, [OPEN, STRICT], { dns: 'strict' }],
    ['audit of the flag', { audit: true }, [part('x')], { audit: true }],
    [
      'private answers of the flag',
      { allowPrivateAnswers: true },
      [part('x', { allowPrivateAnswers: false })],
      { allowPrivateAnswers: true },
    ],
    [
      'private answers of a part',
      {},
      [part('x'), part('y', { allowPrivateAnswers: true })],
      { allowPrivateAnswers: true },
    ],
    [
      'private answers of none',
      {},
      [part('x', { allowPrivateAnswers: false })],
      { allowPrivateAnswers: false },
    ],
    ['all inbound calls of the host', {}, [part('x')], { inbound: 'all' }],
    ['no inbound calls of others', { subjects: [parseSubject('pid:7')] }, [part('x')], { inbound: [] }],
    ['no inbound calls where a part says so', {}, [part('x', { inbound: [] })], { inbound: [] }],
    [
      'inbound calls of parts together',
      {},
      [part('x', { inbound: PORT_22 }), part('y', { inbound: PORT_80 }), part('z')],
      { inbound: [...PORT_22, ...PORT_80] },
    ],
    [
      'inbound calls of the flag before parts',
      { inbound: PORT_22 },
      [part('x', { inbound: PORT_80 })],
      { inbound: PORT_22 },
    ],
  ];
  for (const [title, flags, parts, expected] of rows) {
    test(title, () => {
      const policy = onlyPolicy(combinePolicies(line(flags), parts));
      assert.deepEqual({ ...policy, ...expected }, policy);
    });
  }

  test('dns strict over open, and says so, unless a flag decides', () => {
    assert.deepEqual(combinePolicies(line(), [OPEN, STRICT]).remarks, [
      'host: one policy says dns open, another strict: strict it is',
    ]);
    assert.deepEqual(combinePolicies(line({ dns: 'open' }), [OPEN, STRICT]).remarks, []);
  });

  test('shaping of the flag, else of the first part, and says where parts differ', () => {
    const slow = { rateBitsPerSecond: 1e6 };
    const fast = { rateBitsPerSecond: 1e9 };
    const parts = [part('x'), part('y', { shaping: slow }), part('z', { shaping: fast })];
    const shapings = (combined: Combined) => combined.policies.map(({ shaping }) => shaping);
    const byParts = combinePolicies(line(), parts);
    assert.deepEqual(shapings(byParts), [slow]);
    assert.deepEqual(byParts.remarks, ['host: "z" says another shaping than "y", which counts']);
    const byFlag = combinePolicies(line({ shaping: fast }), parts);
    assert.deepEqual([shapings(byFlag), byFlag.remarks], [[fast], []]);
    assert.deepEqual(shapings(combinePolicies(line(), [part('x')])), [undefined]);
    assert.deepEqual(
      combinePolicies(line(), [part('x', { shaping: slow }), part('y', { shaping: slow })]).remarks,
      [],
    );
  });
});

test('combinePolicies adds rules of flags as they are', () => {
  const flags = {
    cidr: ['10.0.0.0/8'],
    denyCidr: [],
    cn: ['.a.test'],
    name: [],
    denyName: ['b.test'],
    port: ['443/tcp'],
  };
  const { rules } = parseFlagRules(flags);
  assert.deepEqual(onlyPolicy(combinePolicies(line({ rules }), [])).rules, rules);
});
