import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { findCli } from '../lab/checkout.ts';
import { type RunResult, runCommand } from '../lab/command.ts';

const HEAD = 'apiVersion: l7egg/v1\nkind: EgressPolicy\n';
const WEB = `${HEAD}name: web\nrules:\n- names: [www.a.test]\n  ports: [443/tcp]\n`;
const NET = `${HEAD}name: net\nrules:\n- cidrs: [{cidr: 10.0.0.0/8, except: [10.1.0.0/16]}]\n- {cidrs: [10.9.0.0/16], action: deny}\n`;
const UNIT = `${HEAD}name: dns\nsubject: unit:unbound\ndns: strict\nrules: [{ports: [53]}]\n`;
const STRANGER = `apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: db}\nspec: {podSelector: {matchLabels: {app: db}}, policyTypes: [Egress]}\n`;
const OPEN = `apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: in}\nspec: {podSelector: {}, policyTypes: [Ingress]}\n`;
const EGG = `apiVersion: maciekleks.dev/v1alpha1\nkind: ClusterEgg\nmetadata: {name: egg}\nspec: {programType: cgroup, egress: {commonNames: [.a.test]}}\n`;

function numbered(count: number, one: (n: number) => string): string {
  return Array.from({ length: count }, (_, n) => one(n)).join(', ');
}

const FOLDER = mkdtempSync(join(tmpdir(), 'l7egg-check-'));
after(() => rmSync(FOLDER, { recursive: true }));
const FILES = {
  'web.yaml': WEB,
  'net.yaml': NET,
  'unit.yaml': UNIT,
  'both.yaml': `${WEB}---\n${NET}`,
  'list.yaml': `apiVersion: v1\nkind: List\nitems: [{apiVersion: l7egg/v1, kind: EgressPolicy, rules: [{names: [www.a.test]}]}]`,
  'web.json': JSON.stringify({
    apiVersion: 'l7egg/v1',
    kind: 'EgressPolicy',
    rules: [{ names: ['www.a.test'] }],
  }),
  'audit.yaml': `${HEAD}rules: [{names: [www.a.test], action: audit}]`,
  'masked.yaml': `${HEAD}rules: [{cidrs: [10.1.0.0/8]}]`,
  'stranger.yaml': STRANGER,
  'open.yaml': OPEN,
  'egg.yaml': EGG,
  'bad.yaml': `${HEAD}rules:\n- names: [a..b, 7]\n  action: alow\n`,
  'worse.yaml': `${HEAD}rule: []\n`,
  'half.yaml': WEB.slice(0, -4),
  'patterns.yaml': `${HEAD}rules: [{names: [${numbered(20, (n) => `"*a${n}*.test"`)}]}]`,
  'many.yaml': `${HEAD}rules: [{names: [${numbered(40_000, (n) => `n${n}.test`)}]}]`,
  'empty.yaml': '',
  'escape.yaml': `${HEAD}rules: [{action: "\\e[31mred"}]`,
};
for (const [name, text] of Object.entries(FILES)) writeFileSync(join(FOLDER, name), text);
writeFileSync(join(FOLDER, 'nul.yaml'), Buffer.from([0x61, 0, 0x62]));
writeFileSync(join(FOLDER, 'latin1.yaml'), Buffer.from([0x61, 0x3a, 0x20, 0xe9]));
writeFileSync(join(FOLDER, 'huge.yaml'), Buffer.alloc(100 * 1024 * 1024, '# 7 \n'));
mkdirSync(join(FOLDER, 'folder'));
symlinkSync('web.yaml', join(FOLDER, 'link.yaml'));
symlinkSync('loop.yaml', join(FOLDER, 'loop.yaml'));
symlinkSync('gone.yaml', join(FOLDER, 'dangling.yaml'));

/** Words of a command line, `@` for the folder; file names in the output are without it. */
function run(line: string, input = ''): Omit<RunResult, 'ms'> {
  const { code, stdout, stderr } = runCommand([findCli(), ...line.replaceAll('@', `${FOLDER}/`).split(' ')], {
    input,
  });
  return { code, stdout: stdout.replaceAll(`${FOLDER}/`, '@'), stderr: stderr.replaceAll(`${FOLDER}/`, '@') };
}

describe('check says', () => {
  const rows: readonly (readonly [line: string, code: number, stdout: string])[] = [
    [
      'check www.a.test:443 -policy=@web.yaml',
      0,
      'allow www.a.test:443: web rule 1: allow the name www.a.test on 443/tcp',
    ],
    [
      'check www.a.test -policy=@web.yaml',
      0,
      'allow www.a.test: web rule 1: allow the name www.a.test on 443/tcp',
    ],
    [
      'check www.a.test:80 -policy=@web.yaml',
      1,
      'deny www.a.test:80: web rule 1 lists www.a.test, but not 80/tcp',
    ],
    [
      'check www.a.test:443/udp -policy=@web.yaml',
      1,
      'deny www.a.test:443/udp: web rule 1 lists www.a.test, but not 443/udp',
    ],
    ['check b.test:443 -policy=@web.yaml', 1, 'deny b.test:443: no rule lists b.test'],
    [
      'check 10.0.0.1:7 -policy=@net.yaml',
      0,
      'allow 10.0.0.1:7: net rule 1: allow 10.0.0.0/8 but not 10.1.0.0/16',
    ],
    ['check 10.1.0.1:7 -policy=@net.yaml', 1, 'deny 10.1.0.1:7: no rule holds 10.1.0.1'],
    ['check 10.9.0.1:7 -policy=@net.yaml', 1, 'deny 10.9.0.1:7: net rule 2 denies 10.9.0.1'],
    ['check [2001:db8::1]:443 -policy=@net.yaml', 1, 'deny [2001:db8::1]:443: no rule holds 2001:db8::1'],
    [
      'check www.a.test:443 -policy=@web.yaml -policy=@net.yaml',
      0,
      'allow www.a.test:443: web rule 1: allow the name www.a.test on 443/tcp',
    ],
    [
      'check 10.0.0.1:7 -policy=@web.yaml,@net.yaml',
      0,
      'allow 10.0.0.1:7: net rule 1: allow 10.0.0.0/8 but not 10.1.0.0/16',
    ],
    [
      'check 10.0.0.1:7 -policy=@both.yaml',
      0,
      'allow 10.0.0.1:7: net rule 1: allow 10.0.0.0/8 but not 10.1.0.0/16',
    ],
    [
      'check www.a.test:1 -policy=@list.yaml',
      0,
      'allow www.a.test:1: @list.yaml rule 1: allow the name www.a.test',
    ],
    [
      'check www.a.test:1 -policy=@web.json',
      0,
      'allow www.a.test:1: @web.json rule 1: allow the name www.a.test',
    ],
    [
      'check www.a.test:443 -policy=@link.yaml',
      0,
      'allow www.a.test:443: web rule 1: allow the name www.a.test on 443/tcp',
    ],
    [
      'check www.a.test:1 -policy=@audit.yaml',
      0,
      'allow www.a.test:1: @audit.yaml rule 1: audit the name www.a.test, which is reported',
    ],
    [
      'check 9.9.9.9:53/udp -policy=@unit.yaml',
      0,
      'allow 9.9.9.9:53/udp: dns rule 1: allow every address on 53/tcp, 53/udp',
    ],
    [
      'check 9.9.9.9:53/udp -policy=@unit.yaml -subject=unit:unbound',
      0,
      'allow 9.9.9.9:53/udp: dns rule 1: allow every address on 53/tcp, 53/udp',
    ],
    ['check 9.9.9.9:53/udp -policy=@unit.yaml,@web.yaml', 1, 'deny 9.9.9.9:53/udp: no rule holds 9.9.9.9'],
    [
      'check 9.9.9.9:53/udp -policy=@unit.yaml,@web.yaml -subject=unit:unbound.service',
      0,
      'allow 9.9.9.9:53/udp: dns rule 1: allow every address on 53/tcp, 53/udp',
    ],
    ['check -policy=@web.yaml', 0, 'valid\n  host: 1 rule, dns open'],
    [
      'check -policy=@web.yaml,@net.yaml,@unit.yaml',
      0,
      'valid\n  host: 3 rules, dns open\n  unit:unbound.service: 1 rule, dns strict',
    ],
    ['check -policy=@stranger.yaml,@web.yaml -label=app=web', 0, 'valid\n  label:app=web: 1 rule, dns open'],
    ['check -policy=@egg.yaml', 0, 'valid\n  host: 1 rule, dns open'],
    ['check x.a.test -policy=@egg.yaml', 0, 'allow x.a.test: '],
    [
      'explain www.a.test:80 -policy=@web.yaml',
      1,
      'deny www.a.test:80: web rule 1 lists www.a.test, but not 80/tcp\n  allow the name www.a.test on 443/tcp (web rule 1): not 80/tcp',
    ],
    [
      'explain 10.9.0.1:80 -policy=@net.yaml',
      1,
      'deny 10.9.0.1:80: net rule 2 denies 10.9.0.1\n  deny 10.9.0.0/16 (net rule 2): applies\n  allow 10.0.0.0/8 but not 10.1.0.0/16 (net rule 1): applies',
    ],
    [
      'explain b.test:80 -policy=@web.yaml',
      1,
      'deny b.test:80: no rule lists b.test\n  no rule speaks of it',
    ],
  ];
  for (const [line, code, stdout] of rows) {
    test(line, () => {
      const done = run(line);
      assert.equal(done.code, code, done.stderr);
      assert.ok(done.stdout.startsWith(stdout), done.stdout);
    });
  }

  test('remarks on stderr', () => {
    assert.deepEqual(run('check -policy=@masked.yaml'), {
      code: 0,
      stdout: 'valid\n  host: 1 rule, dns open\n',
      stderr:
        '@masked.yaml:3:18: rules[0].cidrs[0]: prefix "10.1.0.0/8" has bits set past its length: taken as "10.0.0.0/8"\n',
    });
  });

  test('what two files both say, once', () => {
    const { code, stderr } = run('check www.a.test:1 -policy=@web.json,@list.yaml');
    assert.deepEqual(
      [code, stderr],
      [0, '"@list.yaml rule 1" says the same as "@web.json rule 1": taken once\n'],
    );
  });

  test('that a policy for others is valid', () => {
    const { code, stdout, stderr } = run('check -policy=@stranger.yaml -label=app=web');
    assert.deepEqual([code, stderr], [0, '']);
    assert.match(stdout, /^valid\n {2}no policy of @stranger\.yaml applies, so nothing would be enforced\n/u);
  });

  test('that what no policy restricts passes', () => {
    const { code, stdout } = run('check b.test -policy=@open.yaml');
    assert.deepEqual([code, stdout], [0, 'allow b.test: no policy restricts the egress of host\n']);
    assert.match(run('check -policy=@open.yaml').stdout, /^valid\n {2}host: egress is not restricted\n$/u);
  });

  for (const line of ['check www.a.test:443 -policy=-', 'check www.a.test:443 -policy - -policy @net.yaml'])
    test(`${line}, from standard input`, () => {
      assert.match(run(line, WEB).stdout, /^allow www\.a\.test:443: web rule 1: /u);
    });
});

describe('check refuses with exit code 2', () => {
  const BAD = [
    '@bad.yaml:4:11: rules[0].names[0]: name "a..b" has an empty label: letters, digits, "-", "_" and single dots between labels are legal',
    '@bad.yaml:4:17: rules[0].names[1] is 7: a name such as www.example.com is legal',
    '@bad.yaml:5:11: rules[0].action is "alow": "allow", "deny" or "audit" is legal',
  ];
  const WORSE = [
    '@worse.yaml:1:1: the document has no "rules": [] for no rule, or a list of rules, is legal',
    '@worse.yaml:3:1: the document has the unknown key "rule", did you mean "rules"? "apiVersion", "kind", "name", "subject", "dns", "allowPrivateAnswers", "inbound", "shaping" or "rules" is legal',
  ];
  const rows: readonly (readonly [line: string, ...stderr: string[]])[] = [
    ['check -policy=@bad.yaml', ...BAD],
    ['check www.a.test -policy=@bad.yaml', ...BAD],
    ['explain www.a.test -policy=@bad.yaml', ...BAD],
    ['check -policy=@web.yaml,@worse.yaml,@bad.yaml', ...WORSE, ...BAD],
    [
      'check -policy=@half.yaml',
      '@half.yaml:6:16: is not legal YAML: Flow sequence in block collection must be sufficiently indented and end with a ]',
    ],
    ['check -policy=@empty.yaml', '@empty.yaml:1:1: is empty: a policy is legal'],
    ['check -policy=@nul.yaml', '@nul.yaml:1:1: is binary: YAML or JSON is legal'],
    ['check -policy=@latin1.yaml', '@latin1.yaml:1:1: the file is no UTF-8 text: YAML or JSON is legal'],
    [
      'check -policy=@escape.yaml',
      '@escape.yaml:3:18: rules[0].action is "\\x1b[31mred": "allow", "deny" or "audit" is legal',
    ],
    ['check -policy=@folder', 'l7egg-cli: Cannot read the policy file "@folder": it is no file'],
    ['check -policy=@gone.yaml', 'l7egg-cli: Cannot read the policy file "@gone.yaml": ENOENT'],
    ['check -policy=@gone.yaml,@worse.yaml', 'Cannot read the policy file "@gone.yaml": ENOENT', ...WORSE],
    [
      'check -policy=@web.yaml -subject=unit:zzz',
      'l7egg-cli: -subject "unit:zzz.service" has no policy: host is legal',
    ],
    ['check -policy=@dangling.yaml', 'l7egg-cli: Cannot read the policy file "@dangling.yaml": ENOENT'],
    ['check -policy=@loop.yaml', 'l7egg-cli: Cannot read the policy file "@loop.yaml": ELOOP'],
    ['check -policy=@web.yaml/x', 'l7egg-cli: Cannot read the policy file "@web.yaml/x": ENOTDIR'],
    ['check -policy=/dev/zero', 'l7egg-cli: Cannot read the policy file "/dev/zero": it is no file'],
    [
      'check -policy=@huge.yaml',
      'l7egg-cli: Cannot read the policy file "@huge.yaml": it has more than 67108864 bytes, which are legal',
    ],
    [
      'check 1.2.3.4.5 -policy=@web.yaml',
      'l7egg-cli: target "1.2.3.4.5": "1.2.3.4.5" is no address, and a name that ends in a number is not legal',
    ],
    [
      'check www.a.test:0 -policy=@web.yaml',
      'l7egg-cli: target "www.a.test:0" has the port "0": 1 to 65535 is legal',
    ],
    [
      'check a.test -policy=@web.yaml -subject=pid:7',
      'l7egg-cli: -subject "pid:7" has no policy: host is legal',
    ],
    [
      'check a.test -policy=@web.yaml,@unit.yaml -subject=pid:7',
      'l7egg-cli: -subject "pid:7" has no policy: host or unit:unbound.service is legal',
    ],
    [
      'check a.test -policy=@stranger.yaml -label=app=web',
      'l7egg-cli: no policy of @stranger.yaml applies, so nothing would be enforced',
    ],
    ['check a.test -policy=', 'l7egg-cli: flag -policy needs a value'],
  ];
  for (const [line, ...stderr] of rows) {
    test(line, () => {
      const done = run(line);
      assert.equal(done.code, 2);
      assert.equal(done.stdout, '');
      assert.deepEqual(done.stderr.trimEnd().split('\n').slice(0, stderr.length), stderr);
    });
  }

  const TOO_MUCH = [
    ...['check', 'check x.test:80', 'explain 192.0.2.1'].map((words) => ({
      line: `${words} -policy=@patterns.yaml`,
      says: /^l7egg-cli: 20 patterns may match names that end in ".test": at most 8 are legal/u,
    })),
    {
      line: 'check -policy=@many.yaml',
      says: /^l7egg-cli: 40000 name rules are too many: 16384 are legal/u,
    },
  ];
  for (const { line, says } of TOO_MUCH) {
    test(`${line}, which enforce would refuse, too`, () => {
      const { code, stdout, stderr } = run(line);
      assert.deepEqual([code, stdout], [2, '']);
      assert.match(stderr, says);
    });
  }

  test('standard input that is empty', () => {
    const { code, stderr } = run('check -policy=-');
    assert.deepEqual([code, stderr], [2, '-:1:1: is empty: a policy is legal\n']);
  });

  test('policies of several subjects without the host’s, when asked of a target', () => {
    const input = `${HEAD}subject: pid:7\nrules: []\n---\n${HEAD}subject: pid:8\nrules: []`;
    const { code, stderr } = run('check a.test -policy=-', input);
    assert.deepEqual(
      [code, stderr],
      [
        2,
        'l7egg-cli: there are policies of several subjects: say which with -subject, pid:7 or pid:8 is legal\n',
      ],
    );
    assert.match(run('check a.test -policy=- -subject=pid:8', input).stdout, /^deny a\.test: /u);
  });
});
