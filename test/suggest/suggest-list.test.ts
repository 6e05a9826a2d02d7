import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { readPolicies } from '../../src/formats/read-policies.ts';
import type { SuggestionFormat } from '../../src/suggest/draft.ts';
import { parseSeen } from '../../src/suggest/parse-seen.ts';
import { endLine } from '../../src/suggest/seen.ts';
import { bodyOf, ENFORCING, flowTo, linesOf, listOf, lookupOf, NOTHING, remarksOf } from './samples.ts';

const FORMATS: readonly SuggestionFormat[] = ['flags', 'l7egg', 'cilium', 'networkpolicy'];
const HEAD = '-iface=eth0 -eface=eth0';

describe('names that the network made up', () => {
  const names = [
    '*.example',
    '**.example',
    'a,b.example',
    '-x.example',
    "'$(reboot)'.example",
    'a b.example',
    'a\nname: x',
    'a\u001b[31m.example',
    '\\032.example',
    'bücher.example',
    'a..example',
    '.example',
    '198.51.100.9',
    '2001:db8::9',
    'a"b',
    '# x',
    'x'.repeat(64),
    `${'x.'.repeat(127)}xx`,
    '\u202eelpmaxe.moc',
  ];
  for (const name of names) {
    test(`are no rule, and escaped: ${JSON.stringify(name)}`, async () => {
      for (const format of FORMATS) {
        const text = listOf(
          {
            flows: [flowTo('198.51.100.1', 443, name), flowTo('198.51.100.2', 443, 'good.example')],
            lookups: [lookupOf(name)],
          },
          { format },
          { inForce: { dns: 'strict' }, reverse: new Map([['198.51.100.1', name]]) },
        );
        assert.doesNotMatch(text, /[\p{Cc}\p{Cf}]/u.test(name) ? /[^\P{C}\n]/u : /\r/u);
        const rules =
          format === 'flags'
            ? []
            : (await readPolicies([{ file: 'p.yaml', text }], { lenient: false })).parts.flatMap(
                (part) => part.rules,
              );
        for (const { who } of rules)
          assert.ok(
            who.kind === 'prefix' || (who.kind === 'exact' && who.name === 'good.example'),
            JSON.stringify(who),
          );
        if (format === 'flags')
          assert.equal(
            bodyOf(text),
            `${HEAD} -dns=strict -name=good.example -cidr=198.51.100.1 -port=443/tcp`,
          );
        assert.match(text, /can't be written in a rule, so its addresses are in the list/u);
      }
    });
  }
  for (const name of [
    'no',
    'null',
    'true',
    'y',
    '1e3.5',
    '0x1f',
    '1.5',
    '2026-01-01',
    '_dmarc.example',
    '~',
    '123',
    'e.1',
    'on.off',
  ])
    test(`that YAML may take for something else come back as they are: ${name}`, async () => {
      const isPlain = /^[a-z0-9_-]/u.test(name) && name !== '1.5';
      for (const format of ['l7egg', 'cilium'] as const) {
        const text = listOf({ flows: [flowTo('198.51.100.1', 443, name)] }, { format });
        const { parts } = await readPolicies([{ file: 'p.yaml', text }], { lenient: false });
        const exact = parts.flatMap(({ rules }) =>
          rules.flatMap(({ who }) => (who.kind === 'exact' ? who.name : [])),
        );
        assert.deepEqual(exact, isPlain || name === '1.5' ? [name] : [], text);
      }
    });
});

describe('private answers', () => {
  const flows = [flowTo('10.0.0.7', 443, 'int.example'), flowTo('192.0.2.2', 80, 'own.example')];
  test('put the address beside the name, and say so', () => {
    const text = listOf({ flows }, { format: 'flags' });
    assert.equal(
      bodyOf(text),
      `${HEAD} -name=int.example -name=own.example -cidr=10.0.0.7 -cidr=192.0.2.2 -port=80/tcp,443/tcp`,
    );
    assert.ok(
      remarksOf(text).some((line) =>
        /^int\.example leads to the private address 10\.0\.0\.7, .* -allow-private-answers would take any$/u.test(
          line,
        ),
      ),
      text,
    );
  });
  test('need no address where any are taken', () => {
    const inForce = { allowPrivateAnswers: true };
    assert.equal(
      bodyOf(listOf({ flows }, { format: 'flags' }, { inForce })),
      `${HEAD} -name=int.example -name=own.example -allow-private-answers -port=80/tcp,443/tcp`,
    );
    assert.match(listOf({ flows }, { format: 'l7egg' }, { inForce }), /^allowPrivateAnswers: true$/mu);
  });
  test('need it in a format that has no word for that', () => {
    assert.match(
      listOf({ flows }, { format: 'cilium' }, { inForce: { allowPrivateAnswers: true } }),
      /toCIDR:\n\s+- "10\.0\.0\.7\/32"/u,
    );
  });
});

describe('what a deny rule speaks against is never in the list', () => {
  const denials = [
    { rule: 'deny suffix .evil.example any', source: '-deny-name=**.evil.example' },
    { rule: 'deny prefix 203.0.113.0/24 6/25-25', source: 'mail' },
  ];
  const flows = [
    flowTo('198.51.100.1', 443, 'x.evil.example'),
    flowTo('203.0.113.1', 25),
    flowTo('203.0.113.1', 443),
    flowTo('203.0.113.2', 25, 'mail.example', { fate: 'barred', reasons: ['deny-cidr'], rule: 'mail' }),
  ];
  const lookups = [
    lookupOf('x.evil.example'),
    lookupOf('y.evil.example', { fate: 'barred', rule: '-deny-name=**.evil.example' }),
  ];
  for (const format of FORMATS)
    test(format, () => {
      const text = listOf({ flows, lookups }, { format }, { inForce: { dns: 'strict' }, denials });
      const body = bodyOf(text).replaceAll('**.evil.example', '').replaceAll('".evil.example"', '');
      assert.doesNotMatch(body, /evil|198\.51\.100\.1\b|203\.0\.113\.2|mail\.example/u);
      assert.match(body, /203\.0\.113\.1/u);
      const remarks = remarksOf(text).join('\n');
      assert.match(
        remarks,
        /x\.evil\.example \(198\.51\.100\.1\) 443\/tcp passed, and -deny-name=\*\*\.evil\.example denies that name: not in the list/u,
      );
      assert.match(remarks, /203\.0\.113\.1 25\/tcp passed, and mail denies that address: not in the list/u);
      assert.match(remarks, /denied once: mail\.example \(203\.0\.113\.2\) 25\/tcp: without mail/u);
      assert.match(
        remarks,
        /denied once: lookup of y\.evil\.example: without -deny-name=\*\*\.evil\.example/u,
      );
    });
});

describe('what was refused is a remark with the flags that would allow it', () => {
  test('flows and lookups', () => {
    const text = listOf(
      {
        flows: [
          flowTo('203.0.113.1', 443, 'no.example', { fate: 'refused', count: 3 }),
          flowTo('203.0.113.2', 53, undefined, { fate: 'refused', l4Proto: 17 }),
          flowTo('203.0.113.3', 443, '*.evil', { fate: 'refused' }),
          flowTo('10.7.7.7', 443, 'intra.example', { fate: 'refused' }),
        ],
        lookups: [lookupOf('no.example', { fate: 'refused' })],
      },
      { format: 'flags' },
      { inForce: { dns: 'strict' } },
    );
    assert.equal(bodyOf(text), '');
    const remarks = remarksOf(text);
    for (const line of [
      'refused once: lookup of no.example: -name=no.example',
      'refused 3 times: no.example (203.0.113.1) 443/tcp: -name=no.example -port=443/tcp',
      'refused once: 203.0.113.2 53/udp: -cidr=203.0.113.2 -port=53/udp',
      'refused once: *.evil (203.0.113.3) 443/tcp: -cidr=203.0.113.3 -port=443/tcp',
      'refused once: intra.example (10.7.7.7) 443/tcp: -name=intra.example -cidr=10.7.7.7 -port=443/tcp',
    ])
      assert.ok(remarks.includes(line), `${line}\n${text}`);
  });
  test('a hundred of them, and how many more', () => {
    const flows = Array.from({ length: 130 }, (_, index) =>
      flowTo(`203.0.113.${index}`, 443, undefined, { fate: 'refused' }),
    );
    const remarks = remarksOf(listOf({ flows }, { format: 'flags' }));
    assert.equal(remarks.filter((line) => line.startsWith('refused ')).length, 100);
    assert.ok(remarks.includes('and 30 more refused targets'));
  });
});

describe('replies', () => {
  const flows = [
    flowTo('203.0.113.9', 8080, undefined, { way: 'reply' }),
    flowTo('198.51.100.1', 443, 'a.example'),
  ];
  test('need nothing where calls from outside are taken', () => {
    const text = listOf({ flows }, { format: 'flags' });
    assert.equal(bodyOf(text), `${HEAD} -name=a.example -port=443/tcp`);
    assert.match(text, /^# what looks like late replies of port 8080\/tcp was sent to 203\.0\.113\.9: /mu);
  });
  test('are ports of -inbound where they are not', () => {
    const inForce = { inbound: ['22/tcp'] };
    assert.equal(
      bodyOf(listOf({ flows }, { format: 'flags' }, { inForce })),
      `${HEAD} -name=a.example -inbound=22/tcp,8080/tcp -port=443/tcp`,
    );
    assert.match(
      listOf({ flows }, { format: 'l7egg' }, { inForce }),
      /^inbound:\n {2}- 22\/tcp\n {2}- 8080\/tcp$/mu,
    );
  });
  test('that were refused are a remark', () => {
    const refused = [flowTo('203.0.113.9', 8080, undefined, { way: 'reply', fate: 'refused' })];
    const text = listOf({ flows: refused }, { format: 'l7egg' }, { inForce: { inbound: [] } });
    assert.match(text, /^# refused once: replies of port 8080\/tcp to 203\.0\.113\.9: -inbound=8080\/tcp$/mu);
    assert.equal(bodyOf(text), '');
  });
});

describe('a list says', () => {
  const flows = [flowTo('198.51.100.1', 443, 'a.example'), flowTo('198.51.100.5', 9418)];
  const rows: readonly (readonly [
    string,
    Parameters<typeof listOf>[0],
    Parameters<typeof listOf>[2],
    RegExp,
  ])[] = [
    [
      'the reverse name of a bare address',
      {},
      { reverse: new Map([['198.51.100.5', 'git.example']]) },
      /^# 198\.51\.100\.5: no lookup led there; its reverse name is git\.example$/mu,
    ],
    ['that a bare address has none', {}, {}, /^# 198\.51\.100\.5: no lookup led there$/mu],
    [
      'what was reached behind the end of a lease',
      { flows: [flowTo('198.51.100.1', 443, 'a.example', { reasons: ['lease-ended'] })] },
      {},
      /^# a\.example was also reached after its lease had ended/mu,
    ],
    ['that events were lost', { lost: 3 }, {}, /^# 3 events were lost/mu],
    ['that there was no room', { others: 3 }, {}, /^# 3 packets found no room/mu],
    [
      'that lookups found no room',
      { missing: [{ kind: 'missing', subject: 'host', what: 'lookups', count: 4 }] },
      {},
      /^# 4 lookups found no room any more: their names are missing/mu,
    ],
    [
      'that names are missing',
      { missing: [{ kind: 'missing', subject: 'host', what: 'names', count: 5 }] },
      {},
      /^# 5 addresses may have more names than are kept: such names are missing/mu,
    ],
    [
      'what could not be read',
      { unread: [{ kind: 'unread', subject: 'host', reason: 'ethertype', count: 2 }] },
      {},
      /^# 2 times something that can't be read was sent \(ethertype\)/mu,
    ],
    [
      'that a server was asked which is not trusted',
      { flows: [flowTo('9.9.9.9', 53, undefined, { l4Proto: 17 })] },
      {},
      /^# 9\.9\.9\.9 was asked on port 53 and is no trusted resolver: -resolver=9\.9\.9\.9 /mu,
    ],
    [
      'that it took over',
      {},
      { enforcing: { adopted: true } },
      /^# flows that were allowed before this process took over/mu,
    ],
  ];
  for (const [what, seen, more, expected] of rows)
    test(what, () => {
      for (const format of FORMATS) assert.match(listOf({ flows, ...seen }, { format }, more), expected);
    });
  test('that nothing was seen, and no more', () => {
    for (const format of FORMATS) {
      const text = listOf({}, { format });
      assert.equal(bodyOf(text), '');
      assert.match(text, /^# nothing that a list could allow was seen by instance "default" since /u);
    }
  });
  test('nothing of what was before -since', () => {
    const [first, second] = flows;
    assert.ok(first && second);
    const late = { ...second, lastMs: second.lastMs + 60_000 };
    const text = listOf({ flows: [first, late] }, { format: 'flags', sinceMs: ENFORCING.startedMs + 1_000 });
    assert.equal(bodyOf(text), `${HEAD} -cidr=198.51.100.5 -port=9418/tcp`);
  });
  test('one suffix for siblings where that is asked for', () => {
    const siblings = ['a', 'b', 'c'].map((label) => flowTo('198.51.100.1', 443, `${label}.cdn.example`));
    const isShared = () => false;
    assert.equal(
      bodyOf(listOf({ flows: siblings }, { format: 'flags' })),
      `${HEAD} -name=a.cdn.example -name=b.cdn.example -name=c.cdn.example -port=443/tcp`,
    );
    assert.equal(
      bodyOf(listOf({ flows: siblings }, { format: 'flags', isShared })),
      `${HEAD} -cn=.cdn.example -port=443/tcp`,
    );
    const text = listOf(
      { flows: siblings, lookups: [lookupOf('d.cdn.example')] },
      { format: 'cilium', isShared },
      { inForce: { dns: 'strict' } },
    );
    assert.equal(text.match(/matchPattern: "\*\*\.cdn\.example"/gu)?.length, 2);
    assert.doesNotMatch(bodyOf(text), /d\.cdn/u);
  });
});

describe('more names than a policy has room for', () => {
  const many = (count: number, prefix: string) =>
    Array.from({ length: count }, (_, index) => `${prefix}${index}.example`);
  test('are left out, and that is said', () => {
    const seen = {
      flows: many(16_010, 'n').map((name) => flowTo('198.51.100.1', 443, name)),
      lookups: many(5, 'l').map((name) => lookupOf(name)),
    };
    const text = listOf(seen, { format: 'l7egg' }, { inForce: { dns: 'strict' } });
    assert.equal(text.match(/^ {6}- n\d+\.example$/gmu)?.length, 16_000);
    assert.match(text, /^# 10 flows to more names were left out/mu);
    assert.match(text, /^# 5 names that were only looked up were left out/mu);
  });
});

describe('parseSeen', () => {
  const lines = linesOf({ ...NOTHING, flows: [flowTo('198.51.100.1', 443, 'a.example')] }, ENFORCING);
  const rows: readonly (readonly [string, readonly string[], RegExp])[] = [
    ['nothing', [], /was cut short/u],
    ['nothing but its end', [endLine(0)], /answered nothing/u],
    ['an answer without its end', lines.slice(0, -1), /was cut short/u],
    ['an answer that lacks a line', lines.toSpliced(1, 1), /was cut short/u],
    ['no JSON', ['{', endLine(1)], /JSON/u],
    ['no object', ['7', endLine(1)], /is an object/u],
    ['an unknown kind', [lines[0] ?? '', '{"kind":"x"}', endLine(2)], /"kind" of what was seen is "x"/u],
    [
      'a missing key',
      [lines[0] ?? '', '{"kind":"flow"}', endLine(2)],
      /"subject" of what was seen is undefined/u,
    ],
  ];
  for (const [what, text, message] of rows)
    test(`refuses ${what}`, () => assert.throws(() => parseSeen(text), message));
  test('takes what an enforcer answers', () => {
    const { enforcing, seen } = parseSeen(lines);
    assert.deepEqual([enforcing, seen.flows], [ENFORCING, [flowTo('198.51.100.1', 443, 'a.example')]]);
  });
});
