import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { formatBytes, formatSpan } from '../../src/cli/amounts.ts';
import { alignColumns } from '../../src/cli/columns.ts';
import { renderStatus } from '../../src/cli/render-status.ts';
import { LIMITS } from '../../src/datapath/layout.ts';
import type { Status } from '../../src/enforcer/status.ts';

const FLOWS = { live: 2, byProtocol: { tcp: 2 }, entries: 5, maxEntries: 1_000, isWhole: true };
const RULE = {
  rule: '-cn=.ok.example',
  canonical: 'allow suffix .ok.example any',
  subject: 'host',
  policy: 'flags',
  id: 1,
  allowed: 5,
  refused: 0,
  learned: 2,
  evicted: 0,
};
const LEARNED = {
  address: '198.51.100.7',
  subject: 'host',
  rules: ['-cn=.ok.example'],
  names: ['www.ok.example'],
  endsInSeconds: 3_700,
  leases: [{ rule: '-cn=.ok.example', ruleId: 1, names: ['www.ok.example'], endsInSeconds: 3_700 }],
};
const STATUS: Status = {
  instance: 'web',
  enforcing: true,
  pid: 7,
  startedAt: '2026-01-02T03:04:05.006Z',
  process: {
    pid: 7,
    uptimeSeconds: 90_061,
    residentBytes: 55 * 2 ** 20,
    events: 9,
    readers: 2,
    lostByReaders: 0,
  },
  reload: undefined,
  layout: LIMITS.LAYOUT_VERSION,
  subjects: [{ subject: 'host', policies: ['flags'], dns: 'open', audit: false, settings: [], cgroups: [] }],
  resolvers: ['192.0.2.53'],
  interfaces: [
    {
      name: 'eth0',
      ifindex: 2,
      learns: true,
      enforces: true,
      hooks: ['egress', 'ingress'],
      attach: 'tcx',
      order: {
        ingress: [{ kind: 'tcx', program: 'l7egg_arrive', id: 3, ours: true }],
        egress: [
          { kind: 'tcx', program: 'other', id: 4, ours: false },
          { kind: 'tcx', program: 'l7egg_egress', id: 5, ours: true },
        ],
      },
    },
  ],
  processHooks: [],
  rules: [RULE],
  namesFrom: 'process',
  learned: [LEARNED],
  flows: { outbound: FLOWS, inbound: { ...FLOWS, live: 0, byProtocol: {}, isWhole: false } },
  counters: { refused: 3, passed: 0 },
  losses: { ringFull: 0, mapFull: 0, repliesLimited: 0, evicted: 0 },
  maps: [
    {
      name: 'flows',
      kind: 'lru-hash',
      entries: 5,
      maxEntries: 1_000,
      keyBytes: 40,
      valueBytes: 24,
      memoryBytes: 34e6,
    },
  ],
  programs: [
    {
      name: 'l7egg_egress',
      id: 5,
      tag: '0123456789abcdef',
      xlatedBytes: 56_000,
      jitedBytes: 30_000,
      memoryBytes: 57e3,
    },
  ],
  memoryBytes: 34e6 + 57e3,
};

test('renderStatus says all of it, the most important first', () => {
  assert.equal(
    renderStatus(STATUS),
    `enforcing
  instance   web
  process    7
  up         1 d 1 h, 55.0 MiB resident, readers of events: 2
  since      2026-01-02T03:04:05.006Z
  resolvers  192.0.2.53
subject host
  policy     flags
  dns        open
interfaces
  eth0             enforced, learns from answers
    ingress        tcx 1 of 1
    egress         tcx 2 of 2, behind "other"
losses           none
rules              allowed  refused  learned  policy
  -cn=.ok.example        5        0        2  flags
learned addresses: 1
  198.51.100.7  1 h 1 min  www.ok.example  -cn=.ok.example
flows
  outbound  2 live (tcp 2)   5 of 1000 places taken
  inbound   at least 0 live  5 of 1000 places taken
counters
  refused          3
kernel memory    34 MB in 1 maps and 1 programs, layout ${LIMITS.LAYOUT_VERSION}
  flows  lru-hash  5 of 1000  34 MB
  l7egg_egress  tag 0123456789abcdef  56 kB of code  57 kB
`,
  );
});

describe('renderStatus', () => {
  test('names what was lost', () => {
    const losses = { ringFull: 7, mapFull: 0, repliesLimited: 12, evicted: 0, lostByReaders: 3 };
    const text = renderStatus({ ...STATUS, losses });
    assert.match(
      text,
      /^losses\n {2}events that found the ring full +7\n {2}refusals left unanswered.* 12\n {2}events that readers were too slow for +3\nrules/mu,
    );
  });

  test('makes rules of one name in a policy one line, and puts those that are hit first', () => {
    const named = Array.from({ length: 40 }, (_, id) => ({
      ...RULE,
      rule: 'site',
      policy: 'web',
      id,
      allowed: 1,
    }));
    const text = renderStatus({
      ...STATUS,
      rules: [...named, { ...RULE, rule: 'cold', allowed: 0, learned: 0 }],
    });
    assert.match(text, /^ {2}site +40 +0 +80 +web, 40 of this name\n {2}cold +0 /mu);
  });

  test('cuts long lists and says by how much', () => {
    const rules = Array.from({ length: 131_072 }, (_, id) => ({ ...RULE, rule: `r${id}`, id }));
    const learned = Array.from({ length: 500 }, () => LEARNED);
    const maps = Array.from({ length: 30 }, () => STATUS.maps).flat();
    const text = renderStatus({ ...STATUS, rules, learned, maps });
    assert.match(
      text,
      /… 131042 more, see -json\nlearned addresses: 500\n[\s\S]*… 480 more, see -json\nflows/u,
    );
    assert.match(text, /… 22 more, see -json/u);
    assert.ok(text.split('\n').length < 120);
  });

  test('tells rules of several subjects apart', () => {
    const subjects = STATUS.subjects.flatMap((host) => [host, { ...host, subject: 'unit:web.service' }]);
    const text = renderStatus({ ...STATUS, subjects });
    assert.match(text, /-cn=\.ok\.example \(host\)/u);
  });

  for (const [namesFrom, said] of [
    ['file', 'no process answers: names as it wrote them down'],
    ['nowhere', 'no process answers: by address and rule'],
  ] as const) {
    test(`says where names are from: ${namesFrom}`, () => {
      assert.ok(renderStatus({ ...STATUS, namesFrom }).includes(`learned addresses: 1 (${said}`));
    });
  }

  test('escapes whatever is from outside', () => {
    const evil = 'a\x1b[2Jb\u202ec\nd';
    const hostile: Status = {
      ...STATUS,
      subjects: [
        {
          subject: evil,
          policies: [evil],
          files: [evil],
          dns: 'open',
          audit: true,
          settings: [evil],
          cgroups: [{ path: evil, attached: false, hooks: [] }],
        },
      ],
      resolvers: [evil],
      interfaces: STATUS.interfaces.map((each) => ({
        ...each,
        name: evil,
        order: {
          ingress: [],
          egress: [
            { kind: 'tcx', program: evil, ours: false },
            { kind: 'tcx', program: evil, ours: true },
          ],
        },
      })),
      reload: { at: '2026-01-02T03:04:05.006Z', ok: false, lines: [evil, evil] },
      rules: [{ ...RULE, rule: evil, policy: evil }],
      learned: [{ ...LEARNED, names: [evil], rules: [evil] }],
      programs: STATUS.programs.map((each) => ({ ...each, name: evil })),
    };
    const text = renderStatus(hostile);
    assert.doesNotMatch(text.replaceAll('\n', ''), /[\p{Cc}\p{Cf}]/u);
    assert.ok(!text.split('\n').some((line) => line === 'd' || line.startsWith('d ')));
    assert.equal(text.split('a\\x1b[2Jb\\u{202e}c\\x0ad').length - 1, 15);
  });
});

test('alignColumns puts cells below each other', () => {
  assert.deepEqual(
    alignColumns(
      [
        ['a', '1'],
        ['bbb', '22'],
      ],
      [1],
    ),
    ['  a     1', '  bbb  22'],
  );
  const long = 'x'.repeat(100);
  assert.deepEqual(
    alignColumns([
      [long, '1'],
      ['b', '2'],
    ]),
    [`  ${long}  1`, `  ${'b'.padEnd(48)}  2`],
  );
});

test('formatSpan and formatBytes', () => {
  assert.deepEqual([0, 59, 60, 3_600, 86_399, 90_061].map(formatSpan), [
    '0 s',
    '59 s',
    '1 min',
    '1 h',
    '23 h 59 min',
    '1 d 1 h',
  ]);
  assert.deepEqual([0, 999, 4_096, 56_400, 104e6, 2.5e9].map(formatBytes), [
    '0 B',
    '999 B',
    '4.1 kB',
    '56 kB',
    '104 MB',
    '2.5 GB',
  ]);
});
