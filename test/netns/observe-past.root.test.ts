/*
 * `observe` of what was: every filter both ways, every form, and who may ask. The lab is that of observe-lab.ts.
 */
import assert from 'node:assert/strict';
import { statSync } from 'node:fs';
import { after, before, describe, test } from 'node:test';
import { controlPath } from '../../src/enforcer/control-path.ts';
import { findCli } from '../lab/checkout.ts';
import { curl } from '../lab/clients.ts';
import type { Namespace } from '../lab/namespace.ts';
import type { Lab } from '../lab/topology.ts';
import { HOST } from '../lab/topology.ts';
import { type LoggedEvent, type RunningEnforcer, startEnforcer } from './enforcer.ts';
import { webAddress } from './learning-lab.ts';
import {
  CIDR,
  createObserveLab,
  FLAGS,
  LISTED,
  NOT_ENFORCING,
  observe,
  observed,
  parseEvents,
  REFUSED,
  TRACKER,
} from './observe-lab.ts';
import { l7egg } from './robust-lab.ts';

const PING_TO = '198.51.100.99';
const V6 = webAddress(100).v6;

let lab: Lab;
let host: Namespace;
let enforcer: RunningEnforcer;
let curlPid = 0;

before(async () => {
  lab = await createObserveLab();
  host = lab.host;
  enforcer = await startEnforcer(host, FLAGS);
  await curl(host, `http://${LISTED}/`, { args: ['-4'] });
  await curl(host, `http://${TRACKER}:8443/`, { args: ['-4'] });
  await curl(host, `http://${CIDR}/`);
  const client = host.spawn('curl', ['-sS', '-g', `http://[${V6}]/`]);
  curlPid = client.pid;
  await client.exited;
  host.run('ping', ['-c', '1', '-W', '1', PING_TO]);
  host.run('ping', ['-6', '-c', '1', '-W', '1', V6]);
  host.run('dig', [`@${REFUSED}`, '+time=1', '+tries=1', LISTED]);
  await enforcer.waitForEvent(({ dst, proto }) => dst === REFUSED && proto === 'udp');
});
after(() => lab.close());

describe('observe -json tells of', () => {
  const anyName = ({ names = [], qname }: LoggedEvent) => [...names, qname ?? '-'];
  const rows: readonly (readonly [flags: readonly string[], wanted: (event: LoggedEvent) => boolean])[] = [
    [[], () => true],
    [['-verdict=allow'], ({ verdict }) => verdict === 'allow'],
    [['-verdict=deny'], ({ verdict }) => verdict === 'deny'],
    [['-verdict=allow,deny'], ({ verdict }) => verdict !== undefined],
    [[`-name=${LISTED}`], (event) => anyName(event).includes(LISTED)],
    [['-name=*.other.test'], (event) => anyName(event).includes(TRACKER)],
    [['-name=**.example', '-name=no.test'], (event) => anyName(event).includes(LISTED)],
    [[`-to=${CIDR}`], ({ dst }) => dst === CIDR],
    [['-to=203.0.113.0/24'], ({ dst }) => dst === CIDR || dst === REFUSED],
    [['-to=2001:db8:2::/64'], ({ dst }) => dst === V6],
    [['-port=8443'], ({ dport }) => dport === 8443],
    [['-port=80/tcp,53/udp'], ({ dport }) => dport === 80 || dport === 53],
    [['-port=1-79/udp'], ({ dport, proto }) => dport === 53 && proto === 'udp'],
    [['-port=icmp:8'], ({ icmp_type, proto }) => icmp_type === 8 && proto === 'icmp'],
    [['-port=icmpv6:128'], ({ icmp_type, proto }) => icmp_type === 128 && proto === 'icmpv6'],
    [['-proto=tcp'], ({ proto }) => proto === 'tcp'],
    [['-proto=udp,icmp'], ({ proto }) => proto === 'udp' || proto === 'icmp'],
    [['-process=curl'], ({ comm }) => comm === 'curl'],
    [['-process=/usr/bin/curl'], ({ exe }) => exe === '/usr/bin/curl'],
    [['-process=/usr/bin/dig,ping'], ({ exe, comm }) => exe === '/usr/bin/dig' || comm === 'ping'],
    [[`-rule=-cidr=${CIDR}`], ({ rule }) => rule === `-cidr=${CIDR}`],
    [[`-rule=${CIDR}`], ({ rule }) => rule === `-cidr=${CIDR}`],
    [['-rule=.listed.example'], ({ rule }) => rule === '-cn=.listed.example'],
    [['-since=1h', '-proto=icmp'], ({ proto }) => proto === 'icmp'],
    [
      ['-verdict=allow', '-name=*.listed.example', '-proto=tcp'],
      ({ verdict, names, proto }) =>
        verdict === 'allow' && names?.includes(LISTED) === true && proto === 'tcp',
    ],
  ];
  for (const [flags, wanted] of rows) {
    test(flags.join(' ') || 'everything', async () => {
      const told = enforcer.events();
      const expected = told.filter(wanted);
      assert.ok(expected.length > 0, 'something of that kind happened');
      if (flags.length > 0) assert.ok(expected.length < told.length, 'and others');
      assert.deepEqual(await observed(host, enforcer, ...flags), expected);
    });
  }

  test('the process of an id', async () => {
    const events = await observed(host, enforcer, `-process=${curlPid}`);
    assert.deepEqual(
      events.map(({ pid, dst }) => [pid, dst]),
      [[curlPid, V6]],
    );
  });

  test('nothing, where nothing is wanted', async () => {
    for (const flags of [
      ['-verdict=would_deny'],
      ['-name=www.no.test'],
      ['-process=nobody'],
      ['-since=0s'],
      ['-n=0'],
    ]) {
      assert.deepEqual(await observed(host, enforcer, ...flags), [], flags.join(' '));
    }
  });

  test('the last N, and N of those that are wanted', async () => {
    const told = enforcer.events();
    assert.deepEqual(await observed(host, enforcer, '-n=3'), told.slice(-3));
    assert.deepEqual(await observed(host, enforcer, '-n=100000'), told);
    const denied = told.filter(({ verdict }) => verdict === 'deny');
    assert.ok(denied.length > 2);
    assert.deepEqual(await observed(host, enforcer, '-n=2', '-verdict=deny'), denied.slice(-2));
  });

  test('what happened since a time', async () => {
    const told = enforcer.events();
    const { ts } = told[Math.floor(told.length / 2)] ?? { ts: '' };
    const expected = told.filter((event) => event.ts >= ts);
    assert.ok(expected.length > 0 && expected.length < told.length);
    assert.deepEqual(await observed(host, enforcer, `-since=${ts}`), expected);
  });
});

describe('the forms of observe:', () => {
  test('-o=json is -json, and what -log=json wrote', async () => {
    const [json, output] = await Promise.all([
      observe(host, enforcer, '-json'),
      observe(host, enforcer, '-o=json'),
    ]);
    assert.equal(json.stdout, output.stdout);
    const lines = enforcer.process.lines.filter(({ stream }) => stream === 'stdout');
    assert.equal(json.stdout, lines.map(({ text }) => `${text}\n`).join(''));
    assert.equal(parseEvents(json.stdout).length, enforcer.events().length);
  });

  test('compact, the default, is a line for each event', async () => {
    const [done, same] = await Promise.all([observe(host, enforcer), observe(host, enforcer, '-o=compact')]);
    assert.deepEqual([done.code, done.stderr], [0, '']);
    assert.equal(done.stdout, same.stdout);
    const lines = done.stdout.trimEnd().split('\n');
    assert.equal(lines.length, enforcer.events().length);
    const time = '^\\d\\d:\\d\\d:\\d\\d\\.\\d{3} ';
    assert.match(lines[0] ?? '', new RegExp(`${time}in-force \\| 2 rules for host \\(flags\\)$`, 'u'));
    for (const pattern of [
      `${time}enforcing enforcing on eth0; learning on eth0 from 192\\.0\\.2\\.53$`,
      `${time}allow {6}\\S+ www\\.listed\\.example 192\\.0\\.2\\.53:53/udp learned A 198\\.51\\.100\\.1 by -cn=\\.listed\\.example$`,
      `${time}allow {6}curl\\[\\d+\\] www\\.listed\\.example 198\\.51\\.100\\.1:80/tcp by -cn=\\.listed\\.example$`,
      `${time}deny {7}curl\\[\\d+\\] tracker\\.other\\.test 198\\.51\\.100\\.2:8443/tcp no-rule$`,
      `${time}deny {7}\\S+ - 198\\.51\\.100\\.99/icmp type 8 no-rule$`,
    ]) {
      assert.ok(
        lines.some((line) => new RegExp(pattern, 'u').test(line)),
        `${pattern}\n${done.stdout}`,
      );
    }
  });

  test('table is a row for each, below titles', async () => {
    const done = await observe(host, enforcer, '-o=table', '-verdict=deny', '-port=8443');
    assert.equal(done.code, 0);
    const [head, row, ...rest] = done.stdout.trimEnd().split('\n');
    assert.deepEqual(rest, []);
    assert.match(head ?? '', /^TIME +VERDICT +SUBJECT +PROCESS +NAME +DESTINATION +RULE OR REASON$/u);
    assert.match(
      row ?? '',
      /^\S+ {2}deny {8}host {10}curl\[\d+\] +tracker\.other\.test +198\.51\.100\.2:8443\/tcp +no-rule$/u,
    );
    const none = await observe(host, enforcer, '-o=table', '-n=0');
    assert.deepEqual([none.code, none.stdout], [0, `${head}\n`]);
  });

  test('dict is a block for each', async () => {
    const done = await observe(host, enforcer, '-o=dict', '-verdict=deny', '-port=8443');
    assert.equal(done.code, 0);
    for (const line of [
      / {2}verdict: deny$/mu,
      / {4}names: tracker\.other\.test$/mu,
      new RegExp(`^ {6}src: ${HOST.v4.replaceAll('.', '\\.')}$`, 'mu'),
      / {4}dport: 8443$/mu,
      /^------------\n$/mu,
    ]) {
      assert.match(done.stdout, line);
    }
  });
});

describe('observe refuses', () => {
  test('an instance that nobody runs: exit 3, and says which there are', async () => {
    const done = await l7egg(host, 'observe', '-instance=t-not-there');
    assert.deepEqual([done.code, done.stdout], [NOT_ENFORCING, '']);
    assert.match(done.stderr, /^instance "t-not-there": no process tells of events \(there is .*-instance=/u);
    assert.ok(done.stderr.includes(`-instance=${enforcer.instance}`));
  });

  test('a filter that is none: exit 2, and quotes it', async () => {
    const done = await observe(host, enforcer, '-verdict=drop');
    assert.deepEqual([done.code, done.stdout], [2, '']);
    assert.match(done.stderr, /verdict "drop"/u);
  });

  test('other users: the socket is for root only', async () => {
    const path = controlPath(enforcer.instance);
    assert.equal(statSync(path).mode & 0o7777, 0o600);
    assert.equal(statSync(path).uid, 0);
    const nobody = ['--reuid=65534', '--regid=65534', '--clear-groups'];
    const done = await host.runAsync('setpriv', [
      ...nobody,
      findCli(),
      'observe',
      `-instance=${enforcer.instance}`,
    ]);
    assert.deepEqual([done.code, done.stdout], [NOT_ENFORCING, '']);
    assert.match(done.stderr, /EACCES.*this needs root/u);
    const connect =
      'require("net").connect(process.argv[1]).on("error", ({ code }) => console.log(code)).on("connect", () => console.log("open"))';
    const raw = await host.runAsync('setpriv', [...nobody, process.execPath, '-e', connect, path]);
    assert.equal(raw.stdout, 'EACCES\n');
  });
});
