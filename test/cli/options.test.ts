import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { COMMAND_NAMES } from '../../src/cli/commands.ts';
import { FLAGS } from '../../src/cli/flags.ts';
import { normaliseArgs } from '../../src/cli/normalise.ts';
import { type EnforceOptions, type Options, parseOptions } from '../../src/cli/options.ts';
import type { PolicySource } from '../../src/enforcer/policy-source.ts';
import { UsageError } from '../../src/errors.ts';
import { subjectText } from '../../src/policy/subject.ts';

function parse(line: string): Options {
  return parseOptions(normaliseArgs(line === '' ? [] : line.split(' '), FLAGS));
}

function parseEnforce(line: string): EnforceOptions {
  const options = parse(line);
  assert.ok(options.command === 'enforce');
  return options;
}

/** What no flag gives. */
const NO_SOURCE: PolicySource = {
  line: {
    subjects: [{ kind: 'host' }],
    rules: [],
    defaultDns: 'open',
    audit: false,
    allowPrivateAnswers: false,
  },
  files: [],
  presets: [],
  lenient: false,
  context: {},
  isModeGiven: false,
};

test('parseOptions takes -metrics for enforce, and no other command', () => {
  const line = '-cidr=10.0.0.0/8 -metrics=[::1]:9090';
  assert.deepEqual(parseEnforce(line).metrics, { host: '::1', port: 9090, isLoopback: true });
  assert.equal('metrics' in parseEnforce('-cidr=10.0.0.0/8'), false);
  for (const command of ['run', 'status', 'check', 'stop'])
    assert.throws(() => parse(`${command} -metrics=9090`), /flag -metrics is not for/u);
  assert.throws(() => parse('-cidr=10.0.0.0/8 -metrics=9090x'), /-metrics "9090x" is nowhere to listen/u);
});

describe('parseOptions finds the command', () => {
  const rows: readonly (readonly [line: string, options: Options])[] = [
    ['status', { command: 'status', instance: 'default', json: false }],
    ['-json status', { command: 'status', instance: 'default', json: true }],
    ['-instance=a status --json', { command: 'status', instance: 'a', json: true }],
    ['stop -instance a', { command: 'stop', instance: 'a' }],
    ['-instance a clean', { command: 'clean', instance: 'a' }],
    ['doctor', { command: 'doctor', instance: 'default' }],
    ['doctor -netns=blue', { command: 'doctor', instance: 'default', netns: { kind: 'name', name: 'blue' } }],
    ['suggest', { command: 'suggest', instance: 'default', format: 'flags', fold: false }],
    [
      'suggest -fold -format=l7egg -since=2026-01-31T08:30:00Z -subject=cgroup:unit:a',
      {
        command: 'suggest',
        instance: 'default',
        format: 'l7egg',
        fold: true,
        sinceMs: Date.UTC(2026, 0, 31, 8, 30),
        subject: 'unit:a.service',
      },
    ],
    ['-help', { command: 'help' }],
    ['-h', { command: 'help' }],
    ['help', { command: 'help' }],
    ['help check', { command: 'help', about: 'check' }],
    ['check -help', { command: 'help', about: 'check' }],
    ['-version', { command: 'version' }],
    ['status --version', { command: 'version' }],
    ['-help=false status', { command: 'status', instance: 'default', json: false }],
    [
      'check example.com:443/udp',
      {
        command: 'check',
        instance: 'default',
        target: { host: { kind: 'name', name: 'example.com' }, port: 443, l4Proto: 17 },
        targetText: 'example.com:443/udp',
        source: { ...NO_SOURCE, isModeGiven: true },
      },
    ],
    [
      '-instance=a check -- status',
      {
        command: 'check',
        instance: 'a',
        target: { host: { kind: 'name', name: 'status' }, l4Proto: 6 },
        targetText: 'status',
        source: { ...NO_SOURCE, isModeGiven: true },
      },
    ],
  ];
  for (const [line, options] of rows) test(`in "${line}"`, () => assert.deepEqual(parse(line), options));
});

describe('parseOptions of enforce', () => {
  test('takes the example of the README', () => {
    const { source, remarks, ...options } = parseEnforce(
      '-iface=eth0 -eface=eth0 -cidr=10.0.2.0/24 -cidr=18.244.102.124/32 -cn=www.some-example.com -cn=.ubuntu.com -cn=ome.com -cn=docker.io',
    );
    assert.deepEqual(options, {
      command: 'enforce',
      instance: 'default',
      ifaces: ['eth0'],
      efaces: ['eth0'],
      resolvers: [],
      wait: false,
      force: false,
    });
    assert.equal(source.line.rules.length, 6);
    assert.deepEqual(remarks, []);
  });

  test('takes every flag', () => {
    const options = parseEnforce(
      'enforce -iface=eth0,lo -eface * -cidr 10.0.2.5/24 -deny-cidr=10.0.2.1 -cn=.a.test -name=*.b.test -deny-name=c.test -port=443/tcp,icmp -policy=a.yaml,- -lenient -label=app=web -network=net1 -mode=tc -rate=1mbit -ceil=2mbit -resolver=192.0.2.53 -dns=strict -allow-private-answers -inbound=22/tcp -netns=pid:7 -audit -wait -force -log=json -instance=a-b',
    );
    const { source, resolvers, remarks, ...rest } = options;
    assert.deepEqual(rest, {
      command: 'enforce',
      instance: 'a-b',
      ifaces: ['eth0', 'lo'],
      efaces: ['*'],
      netns: { kind: 'pid', pid: 7 },
      wait: true,
      force: true,
      log: 'json',
    });
    const { rules, ...settings } = source.line;
    assert.deepEqual(settings, {
      subjects: [{ kind: 'host' }],
      dns: 'strict',
      defaultDns: 'open',
      audit: true,
      allowPrivateAnswers: true,
      shaping: { rateBitsPerSecond: 1e6, ceilBitsPerSecond: 2e6 },
      inbound: [{ l4Proto: 6, low: 22, high: 22 }],
    });
    assert.deepEqual([source.files, source.lenient], [['a.yaml', '-'], true]);
    assert.deepEqual(source.context, { labels: new Map([['app', 'web']]), networks: ['net1'] });
    assert.deepEqual(
      rules.map(({ source, ports }) => `${source} ${ports.length}`),
      [
        '-cidr=10.0.2.5/24 3',
        '-cn=.a.test 3',
        '-name=*.b.test 3',
        '-deny-cidr=10.0.2.1 0',
        '-deny-name=c.test 0',
      ],
    );
    assert.deepEqual(
      resolvers.map(({ port }) => port),
      [53],
    );
    assert.equal(remarks.length, 1);
  });

  test('takes a command to run as it stands, with names strict', () => {
    const options = parseOptions(
      normaliseArgs(['run', '-cn=a', '-instance=x', '--', 'sh', '-c', '', '--', '-cn=b'], FLAGS),
    );
    assert.ok(options.command === 'run');
    assert.deepEqual(options.argv, ['sh', '-c', '', '--', '-cn=b']);
    assert.deepEqual([options.source.line.defaultDns, options.instance], ['strict', 'x']);
    assert.deepEqual([options.failOnBlocked, options.summaryMd], [false, undefined]);
  });

  test('takes cgroups as subjects', () => {
    const { source } = parseEnforce('-cn=a -cgroup=/a/b/ -cgroup=unit:unbound -cgroup pid:7');
    assert.deepEqual(source.line.subjects, [
      { kind: 'cgroup', path: '/a/b' },
      { kind: 'unit', unit: 'unbound.service' },
      { kind: 'pid', pid: 7 },
    ]);
  });

  const subjects: readonly (readonly [line: string, texts: readonly string[]])[] = [
    ['-cn=a -container=web -container=0123abcd', ['container:web', 'container:0123abcd']],
    ['-cn=a -label=app=web,tier=a', ['label:app=web', 'label:tier=a']],
    ['-cn=a -label=app=web -eface=eth0', ['host']],
    ['-cn=a -label=app=web -mode=tc', ['host']],
    ['-cn=a -label=app=web -cgroup=/a', ['cgroup:/a']],
    ['-cn=a -mode=cgroup -container=web -rate=1mbit -eface=eth0', ['container:web']],
  ];
  for (const [line, texts] of subjects) {
    test(`finds whom "${line}" is for`, () => {
      assert.deepEqual(parseEnforce(line).source.line.subjects.map(subjectText), texts);
    });
  }

  test('takes an interface once', () => {
    assert.deepEqual(parseEnforce('-cn=a -iface=eth0,eth0 -iface=lo').ifaces, ['eth0', 'lo']);
  });

  const netns: readonly (readonly [text: string, parsed: EnforceOptions['netns']])[] = [
    ['blue', { kind: 'name', name: 'blue' }],
    ['/run/netns/blue', { kind: 'path', path: '/run/netns/blue' }],
    ['./ns', { kind: 'path', path: './ns' }],
    ['pid:1', { kind: 'pid', pid: 1 }],
  ];
  for (const [text, parsed] of netns) {
    test(`takes -netns=${text}`, () => assert.deepEqual(parseEnforce(`-cn=a -netns=${text}`).netns, parsed));
  }

  for (const line of [
    '-cidr=192.0.2.1',
    '-cn=a.test',
    '-name=a.test',
    '-audit',
    '-audit -deny-cidr=192.0.2.1',
  ]) {
    test(`has something to do with "${line}"`, () => assert.equal(parse(line).command, 'enforce'));
  }
});

describe('parseOptions refuses', () => {
  const nothing = 'nothing would be allowed: give at least one of -cidr, -cn, -name, -policy and -preset';
  const rows: readonly (readonly [line: string, words: string])[] = [
    ['', nothing],
    ['enforce', nothing],
    ['-iface=eth0 -eface=eth0', nothing],
    ['-deny-cidr=192.0.2.1', nothing],
    ['-deny-name=a.test', nothing],
    ['-port=443', nothing],
    ['-audit=false', nothing],
    ['stauts', '"stauts" is not a command, did you mean "status"?'],
    ['example.com', '"example.com" is not a command: enforce, run, status,'],
    ['help bogus', '"bogus" is not a command'],
    ['bogus -help', '"bogus" is not a command'],
    ['status extra', '"extra" is one argument too many for status'],
    ['stop clean', '"clean" is one argument too many for stop'],
    ['-- status', '"status" is one argument too many for enforce'],
    ['enforce -cn=a eth0', '"eth0" is one argument too many for enforce'],
    ['check a.test b.test', '"b.test" is one argument too many for check'],
    ['check', 'check needs a target: check [HOST[:PORT[/PROTO]]] [-policy=F]'],
    ['check a.test:0', '"0": 1 to 65535'],
    ['status -cidr=192.0.2.1', 'flag -cidr is not for status: -instance, -json, -version, -help are legal'],
    ['stop -json', 'flag -json is not for stop'],
    ['-cn=a -json', 'flag -json is not for enforce'],
    ['check a.test -audit', 'flag -audit is not for check'],
    ['clean -netns=a', 'flag -netns is not for clean'],
    ['-cn=a -iface=*', '-iface "*" is not legal'],
    ['-cn=a -iface=eth0/1', '-iface "eth0/1" is no interface name'],
    ['-cn=a -iface=eth0:1', '-iface "eth0:1" is no interface name'],
    ['-cn=a -eface=..', '-eface ".." is no interface name'],
    ['-cn=a -eface=abcdefghijklmnop', '"abcdefghijklmnop" is no interface name: 1 to 15 bytes'],
    ['-cn=a -instance=.a', 'instance ".a" is no legal name'],
    ['-cn=a -instance=a.b', 'instance "a.b" is no legal name'],
    ['-cn=a -instance=a/b', 'instance "a/b" is no legal name'],
    [`status -instance=${'a'.repeat(33)}`, 'is no legal name'],
    ['-cn=a -netns=pid:', 'netns "pid:" is not legal'],
    ['-cn=a -netns=pid:0', 'netns "pid:0" is not legal'],
    ['-cn=a -netns=pid:1/ns', 'netns "pid:1/ns" is not legal'],
    ['-cn=a -netns=..', 'netns ".." is not legal'],
    ['-cn=a -rate=1', '"1" is not a rate'],
    ['-cn=a -ceil=1mbit', '-ceil needs -rate'],
    ['-cn=a -rate=2mbit -ceil=1mbit', 'ceil'],
    ['run', 'run needs a command behind " -- "'],
    ['run curl', 'the command stands behind " -- "'],
    ['run -eface=eth0 -- a', 'flag -eface is not for run'],
    ['-cn=a -mode=cgroup', '-mode=cgroup needs -cgroup'],
    ['-cn=a -mode=tc -container=web', '-container "web" is for -mode=cgroup only'],
    ['-cn=a -container=../x', 'container "../x" is no name or id'],
    ['-cn=a -mode=tc -cgroup=/a', '-cgroup "/a" is for -mode=cgroup only'],
    ['-cn=a -cgroup=/a -eface=eth0', '-eface is for -mode=tc only'],
    ['-cn=a -cgroup=a', 'cgroup "a" is not legal'],
    ['-cn=a -cgroup=/a/../b', 'cgroup "/a/../b" is not legal'],
    ['-cn=a -cgroup=pid:x', '"x" is no process id'],
    ['-cn=a -label=a', 'label "a" is not legal: KEY=VALUE is'],
    ['-cn=a -inbound=icmp', '-inbound "icmp" has no ports'],
    ['-cn=a -inbound=0', '1 to 65535'],
    ['-cn=a -resolver=nine', '"nine"'],
    ['-cn=a -cidr=192.0.2.0/33', '"192.0.2.0/33"'],
    ['-cn=*.a.test', '"*.a.test"'],
    ['-name=**', '"**"'],
    ['-cn=a -port=70000', '"70000"'],
  ];
  for (const [line, words] of rows) {
    test(`"${line}"`, () => {
      assert.throws(
        () => parse(line),
        (error) => {
          assert.ok(error instanceof UsageError);
          assert.ok(error.message.includes(words), error.message);
          return true;
        },
      );
    });
  }
});

describe('FLAGS', () => {
  test('has each name once for a command', () => {
    for (const command of COMMAND_NAMES) {
      const specs = FLAGS.filter(({ commands }) => commands.includes(command));
      const names = specs.flatMap(({ name, alias }) => (alias === undefined ? [name] : [name, alias]));
      assert.equal(new Set(names).size, names.length, command);
    }
  });

  test('has a name in one shape: it is read before the command is known', () => {
    const shapes = new Map<string, string>();
    for (const { name, kind, alias, choices } of FLAGS) {
      const shape = JSON.stringify([kind, alias, choices]);
      assert.equal(shapes.get(name) ?? shape, shape, name);
      shapes.set(name, shape);
    }
  });
});
