import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { BlockedTargets } from '../../src/cli/blocked.ts';
import { renderBlocked, renderBlockedMarkdown } from '../../src/cli/run-summary.ts';
import type { DnsEvent } from '../../src/flow/event.ts';

function collect(...events: readonly Partial<DnsEvent>[]): BlockedTargets {
  const blocked = new BlockedTargets({ rules: [], dns: 'strict', resolvers: [] });
  for (const event of events)
    blocked.take({
      seq: 1,
      timeMs: 0,
      lost: 0,
      policy: 'p',
      subject: 's',
      iface: '-',
      count: 1,
      windowMs: 0,
      kind: 'dns',
      verdict: 'deny',
      reason: 'dns-strict',
      packet: { family: 'ipv4', proto: 'udp', src: '192.0.2.2', dst: '192.0.2.53', dport: 53 },
      addresses: [],
      qname: 'a.example',
      ...event,
    });
  return blocked;
}

const process = (comm: string) => ({ pid: 1, uid: 0, comm });

describe('renderBlocked', () => {
  test('says so when nothing was', () => {
    assert.deepEqual(renderBlocked(collect()), ['nothing was blocked']);
  });
  test('one target, its flag, how often and by whom', () => {
    assert.deepEqual(renderBlocked(collect({ process: process('curl') })), [
      '1 target was blocked; what would allow each:',
      '  a.example  -name=a.example  (dns-strict, 1 lookup by curl)',
    ]);
  });
  test('targets are lined up; lookups are called so', () => {
    assert.deepEqual(renderBlocked(collect({}, {}, { qname: 'longer.example' })), [
      '2 targets were blocked; what would allow each:',
      '  a.example       -name=a.example  (dns-strict, 2 lookups)',
      '  longer.example  -name=longer.example  (dns-strict, 1 lookup)',
    ]);
  });
  test('what audit let pass has a headline of its own', () => {
    assert.deepEqual(renderBlocked(collect({ verdict: 'would_deny' })), [
      '1 target was let pass by audit, and would be blocked without; what would allow each:',
      '  a.example  -name=a.example  (dns-strict, 1 lookup)',
    ]);
  });
  test('a target that no flag allows says that', () => {
    assert.match(renderBlocked(collect({ qname: 'a b' }))[1] ?? '', /^ {2}a b {2}no flag {2}\(/u);
  });
  test('names and programs can not steer a terminal', () => {
    const [, line] = renderBlocked(collect({ qname: 'a\u001b[2J\u202e', process: process('c\nd\u0007') }));
    assert.equal(line, '  a\\x1b[2J\\u{202e}  no flag  (dns-strict, 1 lookup by c\\x0ad\\x07)');
  });
  test('lost events are said', () => {
    assert.equal(renderBlocked(collect({ lost: 3 })).at(-1), '3 events were lost, so there may be more');
  });
});

describe('renderBlockedMarkdown', () => {
  test('nothing blocked', () => {
    assert.equal(
      renderBlockedMarkdown(collect(), 'make', 0),
      '### Egress of `make`: nothing was blocked\n\nExit code 0.\n',
    );
  });
  test('a table of what was blocked', () => {
    assert.equal(
      renderBlockedMarkdown(collect({}, {}), 'make', 10),
      [
        '### Egress of `make`: 1 blocked',
        '',
        'Exit code 10.',
        '',
        '| blocked | times | reason | what would allow it |',
        '|---|---|---|---|',
        '| `a.example` | 2 | dns-strict | `-name=a.example` |',
        '',
      ].join('\n'),
    );
  });
  test('what is blocked and what is audited are two tables', () => {
    const text = renderBlockedMarkdown(collect({}, { verdict: 'would_deny' }), 'make', 0);
    assert.match(text, /^### Egress of `make`: 1 blocked, 1 audited$/mu);
    assert.match(text, /^\| audited \| times/mu);
  });
  const hostile = [
    { qname: 'a|b', cell: 'a\\|b' },
    { qname: 'a`b', cell: "a'b" },
    { qname: 'a\nb\r', cell: 'a\\x0ab\\x0d' },
    { qname: '<img src=x>', cell: '<img src=x>' }, // in a code span, where it is text
    { qname: 'a\\|b', cell: 'a\\\\|b' },
  ];
  for (const { qname, cell } of hostile) {
    test(`a name ${JSON.stringify(qname)} stays in its cell`, () => {
      const rows = renderBlockedMarkdown(collect({ qname }), 'x', 0).split('\n');
      assert.equal(rows[6], `| \`${cell}\` | 1 | dns-strict |  |`);
      assert.equal(cellsOf(rows[6] ?? '').length, 4);
    });
  }
  test('a program with a line feed stays in the headline', () => {
    const [first] = renderBlockedMarkdown(collect(), 'a\n# `b', 0).split('\n');
    assert.equal(first, "### Egress of `a\\x0a# 'b`: nothing was blocked");
  });
});

/* As cmark-gfm splits a row: its cells are as long as they can be, so a backslash right before a bar escapes it. */
function cellsOf(row: string): string[] {
  return row.split(/(?<!\\)\|/u).slice(1, -1);
}
