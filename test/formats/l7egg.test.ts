import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { PolicyPart } from '../../src/formats/part.ts';
import { canonicalRule } from '../../src/policy/rule.ts';
import { atMarks, errorsOf, read, verdict } from './kube-reading.ts';

/* A § in a text of a policy stands before the place that the next error names. */
const HEAD = 'apiVersion: l7egg/v1\nkind: EgressPolicy\n';
const policy = (body: string): string => `${HEAD}${body}`;
const rules = (list: string): string => policy(`rules: ${list}`);
const onlyPart = async (text: string): Promise<PolicyPart> => {
  const { parts } = await read(text);
  assert.equal(parts.length, 1);
  const [part] = parts;
  assert.ok(part);
  return part;
};

describe('readL7egg makes of a rule', () => {
  const rows: readonly (readonly [rule: string, ...canonical: string[]])[] = [
    ['{names: [A.test.]}', 'allow exact a.test any'],
    ['{names: ["*.a.test"]}', 'allow pattern *.a.test any'],
    ['{names: ["**.a.test"]}', 'allow suffix .a.test any'],
    ['{names: [bücher.test]}', 'allow exact xn--bcher-kva.test any'],
    ['{suffixes: [.a.test, ome.com]}', 'allow suffix .a.test any', 'allow suffix ome.com any'],
    [
      '{cidrs: [192.0.2.1, "2001:db8::/32"]}',
      'allow prefix 192.0.2.1/32 any',
      'allow prefix 2001:db8::/32 any',
    ],
    [
      '{cidrs: [{cidr: 10.0.0.0/8, except: [10.1.0.0/16, 10.2.0.1]}]}',
      'allow prefix 10.0.0.0/8!10.1.0.0/16!10.2.0.1/32 any',
    ],
    ['{cidrs: [{cidr: 10.0.0.0/8, except: []}]}', 'allow prefix 10.0.0.0/8 any'],
    ['{cidrs: [{cidr: 10.0.0.0/8}]}', 'allow prefix 10.0.0.0/8 any'],
    [
      '{names: [a.test], suffixes: [.b.test], cidrs: [10.0.0.0/8], ports: [443/tcp]}',
      'allow exact a.test 6/443-443',
      'allow suffix .b.test 6/443-443',
      'allow prefix 10.0.0.0/8 6/443-443',
    ],
    ['{names: [a.test], ports: [443]}', 'allow exact a.test 6/443-443,17/443-443'],
    ['{names: [a.test], ports: ["443"]}', 'allow exact a.test 6/443-443,17/443-443'],
    ['{names: [a.test], ports: [8000-8100/udp]}', 'allow exact a.test 17/8000-8100'],
    ['{names: [a.test], ports: [1-5/tcp, 4-9/tcp]}', 'allow exact a.test 6/1-9'],
    ['{names: [a.test], ports: [icmp]}', 'allow exact a.test 1/0-255,58/0-255'],
    [
      '{names: [a.test], ports: ["icmp:8", tcp, "proto:47"]}',
      'allow exact a.test 1/8-8,6/0-65535,47/0-65535',
    ],
    ['{names: [a.test], action: allow}', 'allow exact a.test any'],
    ['{names: [a.test], action: deny}', 'deny exact a.test any'],
    ['{names: [a.test], action: audit}', 'audit exact a.test any'],
    ['{cidrs: [10.0.0.0/8], action: deny, ports: [25/tcp]}', 'deny prefix 10.0.0.0/8 6/25-25'],
    [
      '{names: ["1e3", "true", "null", "2024-01-01"]}',
      ...['1e3', 'true', 'null', '2024-01-01'].map((name) => `allow exact ${name} any`),
    ],
    [
      '{names: [no, on, yes, 2024-01-01, 1_000]}',
      ...['no', 'on', 'yes', '2024-01-01', '1_000'].map((name) => `allow exact ${name} any`),
    ],
  ];
  for (const [rule, ...canonical] of rows) {
    test(rule, async () => {
      const part = await onlyPart(rules(`[${rule}]`));
      assert.deepEqual(part.rules.map(canonicalRule), canonical);
    });
  }
});

describe('readL7egg takes an empty list for nothing, an absent one for anything', () => {
  const ANY = 'allow any any any';
  const rows: readonly (readonly [rule: string, ...canonical: string[]])[] = [
    ['{}', ANY],
    ['{action: deny}', 'deny any any any'],
    ['{ports: [443/tcp]}', 'allow any any 6/443-443'],
    ['{names: []}'],
    ['{suffixes: []}'],
    ['{cidrs: []}'],
    ['{ports: []}'],
    ['{names: [], suffixes: [], cidrs: []}'],
    ['{names: [a.test], ports: []}'],
    ['{names: [], ports: [443/tcp]}'],
    ['{names: [], cidrs: [10.0.0.0/8]}', 'allow prefix 10.0.0.0/8 any'],
    ['{names: [a.test], cidrs: []}', 'allow exact a.test any'],
    ['{suffixes: [], names: [a.test], ports: [443/tcp]}', 'allow exact a.test 6/443-443'],
    ['{names: [], action: deny}'],
  ];
  for (const [rule, ...canonical] of rows) {
    test(rule, async () => {
      const part = await onlyPart(rules(`[${rule}]`));
      assert.deepEqual(part.rules.map(canonicalRule), canonical);
      assert.equal(part.restricts, true);
    });
  }

  test('of rules too: [] allows nothing, and restricts', async () => {
    const { parts } = await read(rules('[]'));
    assert.equal(verdict(parts, '192.0.2.1:443'), 'deny');
  });
});

describe('readL7egg takes the setting', () => {
  const shaping = (text: string) => `shaping: ${text}`;
  const rows: readonly (readonly [line: string, part: Partial<PolicyPart>])[] = [
    ['name: the web', { name: 'the web' }],
    ['subject: host', { subject: { kind: 'host' } }],
    ['subject: cgroup:/a/b/', { subject: { kind: 'cgroup', path: '/a/b' } }],
    ['subject: unit:unbound', { subject: { kind: 'unit', unit: 'unbound.service' } }],
    ['subject: pid:7', { subject: { kind: 'pid', pid: 7 } }],
    ['subject: container:web', { subject: { kind: 'container', name: 'web' } }],
    ['subject: label:app=web=1', { subject: { kind: 'label', key: 'app', value: 'web=1' } }],
    ['dns: open', { dns: 'open' }],
    ['dns: strict', { dns: 'strict' }],
    ['allowPrivateAnswers: true', { allowPrivateAnswers: true }],
    ['allowPrivateAnswers: false', { allowPrivateAnswers: false }],
    ['inbound: []', { inbound: [] }],
    ['inbound: [22/tcp]', { inbound: [{ l4Proto: 6, low: 22, high: 22 }] }],
    [shaping('{rate: 1.5mbit}'), { shaping: { rateBitsPerSecond: 1_500_000 } }],
    [shaping('{rate: 1mbit, ceil: 2mbit}'), { shaping: { rateBitsPerSecond: 1e6, ceilBitsPerSecond: 2e6 } }],
    [shaping('{rate: 1mbit, ceil: 1mbit}'), { shaping: { rateBitsPerSecond: 1e6 } }],
  ];
  for (const [line, expected] of rows) {
    test(line, async () => {
      const part = await onlyPart(policy(`${line}\nrules: []`));
      assert.deepEqual(part, { name: 'p.yaml', restricts: true, rules: [], ...expected });
    });
  }

  test('of none says nothing', async () => {
    assert.deepEqual(await onlyPart(rules('[]')), { name: 'p.yaml', restricts: true, rules: [] });
  });
});

describe('readL7egg names a rule', () => {
  const rows: readonly (readonly [text: string, ...sources: string[]])[] = [
    [rules('[{}, {}]'), 'p.yaml rule 1', 'p.yaml rule 2'],
    [policy('name: web\nrules: [{}, {name: mine}]'), 'web rule 1', 'mine'],
    [rules('[{name: a, names: [a.test, b.test]}]'), 'a', 'a'],
  ];
  for (const [text, ...sources] of rows)
    test(sources.join(', '), async () =>
      assert.deepEqual(
        (await onlyPart(text)).rules.map(({ source }) => source),
        sources,
      ),
    );
});

test('readL7egg warns of bits past the length of a prefix', async () => {
  const text = rules('[{cidrs: [§10.1.0.0/8]}]');
  const { remarks } = await read(text);
  const what = 'rules[0].cidrs[0]: prefix "10.1.0.0/8" has bits set past its length: taken as "10.0.0.0/8"';
  assert.deepEqual(remarks, atMarks(text, what));
});

describe('readL7egg warns of what denies nothing:', () => {
  const nobody = 'rules[0] denies nothing: what it lists is empty, and an absent list is anything';
  const rows: readonly (readonly [list: string, ...whats: string[]])[] = [
    [
      '[{action: deny, cidrs: [9.9.9.9], ports: §[]}]',
      'rules[0].ports is empty, so the rule denies nothing: without "ports" it denies every port',
    ],
    ['[§{action: deny, names: []}]', nobody],
    ['[§{action: deny, suffixes: []}]', nobody],
    ['[§{action: deny, cidrs: []}]', nobody],
    ['[§{action: deny, cidrs: [], ports: []}]', nobody],
    ['[{action: deny}]'],
    ['[{action: deny, names: [], cidrs: [9.9.9.9]}]'],
    ['[{action: allow, names: []}, {cidrs: [9.9.9.9], ports: []}]'],
  ];
  for (const [list, ...whats] of rows)
    test(list, async () =>
      assert.deepEqual((await read(rules(list))).remarks, atMarks(rules(list), ...whats)),
    );
});

const NAME = 'a name such as www.example.com is legal';
const LABELS = 'letters, digits, "-", "_" and single dots between labels are legal';
const SUBJECT = 'host, cgroup:/PATH, unit:NAME, pid:NUMBER, container:NAME or label:KEY=VALUE is legal';
const KEYS =
  '"apiVersion", "kind", "name", "subject", "dns", "allowPrivateAnswers", "inbound", "shaping" or "rules" is legal';
const RULE_KEYS = '"name", "action", "names", "suffixes", "cidrs" or "ports" is legal';
const RULE = 'a rule is a map with "names", "suffixes", "cidrs", "ports" and "action"';
const LIST = 'a list is legal, [] for none';
const PREFIX = 'a prefix such as 192.0.2.0/24, or a map with "cidr" and "except", is legal';
const rule = (text: string): string => rules(`[${text}]`);

describe('readL7egg refuses', () => {
  const rows: readonly (readonly [text: string, ...whats: string[]])[] = [
    [`§${HEAD}`, 'the document has no "rules": [] for no rule, or a list of rules, is legal'],
    [policy('rules:§'), 'rules is nothing: a list is legal'],
    [policy('rules: §{}'), 'rules is a map: a list is legal'],
    [policy('rules: §all'), 'rules is "all": a list is legal'],
    [
      policy('rules: []\n§rule: []'),
      `the document has the unknown key "rule", did you mean "rules"? ${KEYS}`,
    ],
    [policy('rules: []\n§metadata: {}'), `the document has the unknown key "metadata": ${KEYS}`],
    [policy('rules: []\n§__proto__: 1'), `the document has the unknown key "__proto__": ${KEYS}`],
    [policy('? §[a]\n: b\nrules: []'), 'the document has a key that is not text'],
    [policy('rules: []\n§rules: []'), 'the key "rules" stands twice in a map: once is legal'],
    [policy('name: §7\nrules: []'), 'name is 7: the name of the policy is legal'],
    [policy('name: §""\nrules: []'), 'name: name "" is not legal: 1 to 200 characters of one line are'],
    [
      policy('name: §"a\\nb"\nrules: []'),
      'name: name "a\\x0ab" is not legal: 1 to 200 characters of one line are',
    ],
    [policy('subject: §x\nrules: []'), `subject: subject "x" is not known: ${SUBJECT}`],
    [policy('subject: §[]\nrules: []'), `subject is a list: ${SUBJECT}`],
    [
      policy('subject: §unit:a/b\nrules: []'),
      'subject: unit "a/b" is no name of a unit: one such as unbound.service is legal',
    ],
    [policy('subject: §pid:0\nrules: []'), 'subject: "0" is no process id: 1 to 9999999 is legal'],
    [policy('dns: §Strict\nrules: []'), 'dns is "Strict": "open" or "strict" is legal'],
    [policy('allowPrivateAnswers: §yes\nrules: []'), 'allowPrivateAnswers is "yes": true or false is legal'],
    [policy('inbound: §22\nrules: []'), `inbound is 22: ${LIST}`],
    [policy('inbound: [§0]\nrules: []'), 'inbound[0]: port "0" has the port "0": 1 to 65535 is legal'],
    [policy('shaping: §1mbit\nrules: []'), 'shaping is "1mbit": a map with "rate" and "ceil" is legal'],
    [policy('shaping: §{ceil: 1mbit}\nrules: []'), 'shaping has no "rate": one such as 10mbit is legal'],
    [
      policy('shaping: §{rate: 2mbit, ceil: 1mbit}\nrules: []'),
      'shaping has a ceil below its rate: as much or more is legal',
    ],
    [policy('shaping: {rate: §1}\nrules: []'), 'shaping.rate is 1: text is legal'],
    [
      policy('shaping: {rate: §1mb}\nrules: []'),
      'shaping.rate: rate "1mb" is not a rate: a number and bit, kbit, mbit or gbit is legal, such as 500kbit',
    ],
    [
      policy('shaping: {rate: 1mbit, §burst: 1}\nrules: []'),
      'shaping has the unknown key "burst": "rate" or "ceil" is legal',
    ],
    [rules('[§a.test]'), `rules[0] is "a.test": ${RULE}`],
    [rules('[{}, §null]'), `rules[1] is nothing: ${RULE}`],
    [rule('{§port: 443}'), `rules[0] has the unknown key "port", did you mean "ports"? ${RULE_KEYS}`],
    [rule('{§<<: {}}'), `rules[0] has the unknown key "<<": ${RULE_KEYS}`],
    [rule('{action: §alow}'), 'rules[0].action is "alow": "allow", "deny" or "audit" is legal'],
    [rule('{action: §lookup}'), 'rules[0].action is "lookup": "allow", "deny" or "audit" is legal'],
    [rule('{action:§}'), 'rules[0].action is nothing: "allow", "deny" or "audit" is legal'],
    [rule('{name: §[a]}'), 'rules[0].name is a list: the name of the rule is legal'],
    [rule('{name: §" "}'), 'rules[0].name: name " " is not legal: 1 to 200 characters of one line are'],
    [rule('{names: §a.test}'), `rules[0].names is "a.test": ${LIST}`],
    [rule('{names:§}'), `rules[0].names is nothing: ${LIST}`],
    [rule('{suffixes: §{}}'), `rules[0].suffixes is a map: ${LIST}`],
    [rule('{cidrs: §10.0.0.0/8}'), `rules[0].cidrs is "10.0.0.0/8": ${LIST}`],
    [rule('{ports: §443}'), `rules[0].ports is 443: ${LIST}`],
    [rule('{names: [§1e3]}'), `rules[0].names[0] is 1e3: ${NAME}`],
    [rule('{names: [§0o17]}'), `rules[0].names[0] is 0o17: ${NAME}`],
    [rule('{names: [§1.10]}'), `rules[0].names[0] is 1.10: ${NAME}`],
    [rule('{names: [§true]}'), `rules[0].names[0] is true: ${NAME}`],
    [rule('{names: [§~]}'), `rules[0].names[0] is nothing: ${NAME}`],
    [rule('{names: [§[a.test]]}'), `rules[0].names[0] is a list: ${NAME}`],
    [rule('{names: [§a..b]}'), `rules[0].names[0]: name "a..b" has an empty label: ${LABELS}`],
    [
      rule('{names: [§"a b"]}'),
      `rules[0].names[0]: name "a b" has "a b", which can't be in a name: ${LABELS}`,
    ],
    [
      rule('{names: [§192.0.2.1]}'),
      'rules[0].names[0]: name "192.0.2.1" is an address: -cidr, -deny-cidr and "cidrs" take addresses',
    ],
    [
      rule('{names: [§.a.test]}'),
      'rules[0].names[0]: name ".a.test" begins with a dot, legal in -cn and "suffixes" only: for all names under one write **.a.test',
    ],
    [
      rule('{suffixes: [§"*.a.test"]}'),
      'rules[0].suffixes[0]: suffix "*.a.test" has a "*", legal in -name and "names" only: a suffix such as .example.com means every name under example.com',
    ],
    [rule('{suffixes: [§7]}'), 'rules[0].suffixes[0] is 7: a suffix such as .example.com is legal'],
    [rule('{cidrs: [§7]}'), `rules[0].cidrs[0] is 7: ${PREFIX}`],
    [
      rule('{cidrs: [§a.test]}'),
      'rules[0].cidrs[0]: prefix "a.test" is not an address or a prefix: 192.0.2.1, 192.0.2.0/24, 2001:db8::1 or 2001:db8::/32 is legal',
    ],
    [
      rule('{cidrs: [§10.0.0.0/33]}'),
      'rules[0].cidrs[0]: prefix "10.0.0.0/33" has the length "33": 0 to 32 is legal',
    ],
    [
      rule('{cidrs: [§"::ffff:10.0.0.0/24"]}'),
      'rules[0].cidrs[0]: prefix "::ffff:10.0.0.0/24" has an IPv4-mapped address and the length "24": 10.0.0.0/24, or 96 to 128, is legal',
    ],
    [rule('{cidrs: [§{except: []}]}'), 'rules[0].cidrs[0] has no "cidr": a prefix is legal'],
    [
      rule('{cidrs: [{cidr: 10.0.0.0/8, §but: []}]}'),
      'rules[0].cidrs[0] has the unknown key "but": "cidr" or "except" is legal',
    ],
    [
      rule('{cidrs: [{cidr: 10.0.0.0/8, except: [§11.0.0.0/16, §10.0.0.0/8]}]}'),
      'rules[0].cidrs[0].except[0] is 11.0.0.0/16: a prefix inside 10.0.0.0/8, and smaller, is legal',
      'rules[0].cidrs[0].except[1] is 10.0.0.0/8: a prefix inside 10.0.0.0/8, and smaller, is legal',
    ],
    [
      rule('{cidrs: [{cidr: 10.0.0.0/8, except: §10.1.0.0/16}]}'),
      'rules[0].cidrs[0].except is "10.1.0.0/16": a list of prefixes is legal',
    ],
    [rule('{ports: [§0]}'), 'rules[0].ports[0]: port "0" has the port "0": 1 to 65535 is legal'],
    [rule('{ports: [§017]}'), 'rules[0].ports[0] is 017: a plain decimal number is legal'],
    [rule('{ports: [§true]}'), 'rules[0].ports[0] is true: a port such as 443/tcp is legal'],
    [rule('{ports: [§9-1]}'), 'rules[0].ports[0]: port "9-1" goes down: the lower port comes first'],
    [
      rule('{ports: [§443/quic]}'),
      'rules[0].ports[0]: port "443/quic" has the protocol "quic": tcp, udp or sctp is legal',
    ],
    [
      rule(`{ports: §[${Array.from({ length: 9 }, (_, index) => 10 * index + 1).join(', ')}]}`),
      'rules[0].ports makes 18 ranges of ports: at most 16 are legal, and a port without protocol makes two',
    ],
    [
      rule('{names: [a.test], action: deny, ports: §[443]}'),
      'rules[0].ports limits a rule that denies names: a lookup has no port, so leave it out',
    ],
  ];
  for (const [text, ...whats] of rows) {
    test(whats.join(', '), async () => {
      const errors = await errorsOf(text);
      assert.ok(errors.length > 0);
      assert.deepEqual(errors, atMarks(text, ...whats));
    });
  }

  test('all that is wrong, in the order of the file', async () => {
    const text = policy(
      [
        'subject: §x',
        'dns: §no',
        'rules:',
        '- names: [§7, a.test, §b..test]',
        '  ports: [§0]',
        '  action: §alow',
        '  §foo: 1',
        '- §bar: 1',
      ].join('\n'),
    );
    const whats = [
      `subject: subject "x" is not known: ${SUBJECT}`,
      'dns is "no": "open" or "strict" is legal',
      `rules[0].names[0] is 7: ${NAME}`,
      `rules[0].names[2]: name "b..test" has an empty label: ${LABELS}`,
      'rules[0].ports[0]: port "0" has the port "0": 1 to 65535 is legal',
      'rules[0].action is "alow": "allow", "deny" or "audit" is legal',
      `rules[0] has the unknown key "foo": ${RULE_KEYS}`,
      `rules[1] has the unknown key "bar": ${RULE_KEYS}`,
    ];
    assert.deepEqual(await errorsOf(text), atMarks(text, ...whats));
  });
});
