/*
 * The commands that ask and end, with a process and without. The lab is that of robust-lab.ts.
 */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { findCli } from '../lab/checkout.ts';
import { runCommand } from '../lab/command.ts';
import type { Namespace } from '../lab/namespace.ts';
import type { Lab } from '../lab/topology.ts';
import { until } from '../lab/wait.ts';
import { type RunningEnforcer, startEnforcer } from './enforcer.ts';
import {
  ALLOWED,
  ALLOWED_ADDRESS,
  BLOCKED,
  createRobustLab,
  FLAGS,
  filesOf,
  isOpen,
  killNow,
  l7egg,
  newInstance,
  startFor,
} from './robust-lab.ts';

const LIMIT_MS = 5_000;
/* What else this machine runs is mentioned. */
const OTHERS = '(?: \\(there is [^\\n]*\\))?';

let lab: Lab;
let host: Namespace;

before(async () => {
  lab = await createRobustLab();
  host = lab.host;
});
after(() => lab.close());

describe('status', () => {
  test('with a process: exit 0, the text and the JSON say what is in force', async (context) => {
    const { instance, process } = await startFor(context, host);
    const text = await l7egg(host, 'status', `-instance=${instance}`);
    assert.equal(text.code, 0);
    assert.match(text.stdout, /^enforcing\n/u);
    assert.match(text.stdout, new RegExp(`^ +process +${process.pid}$`, 'mu'));
    assert.match(text.stdout, /-cn=\.ok\.example/u);
    const json = await l7egg(host, 'status', '-json', `-instance=${instance}`);
    assert.equal(json.code, 0);
    const status = JSON.parse(json.stdout);
    assert.equal(status.enforcing, true);
    assert.equal(status.pid, process.pid);
    assert.deepEqual(
      status.interfaces.map(({ name, hooks }: { name: string; hooks: string[] }) => [name, hooks.sort()]),
      [['eth0', ['egress', 'ingress']]],
    );
  });

  test('without a process: exit 0 and "process none" while the pins are in force', async (context) => {
    const enforcer = await startFor(context, host);
    await killNow(enforcer);
    const text = await l7egg(host, 'status', `-instance=${enforcer.instance}`);
    assert.equal(text.code, 0);
    assert.match(text.stdout, /^ +process +none$/mu);
    const json = await l7egg(host, 'status', '-json', `-instance=${enforcer.instance}`);
    assert.equal(json.code, 0);
    assert.equal('pid' in JSON.parse(json.stdout), false);
  });

  test('of nothing: exit 3 and a sentence, also as JSON', async () => {
    const instance = newInstance();
    const text = await l7egg(host, 'status', `-instance=${instance}`);
    assert.equal(text.code, 3);
    assert.match(text.stdout, new RegExp(`^instance "${instance}": nothing is in force${OTHERS}\n$`, 'u'));
    const json = await l7egg(host, 'status', '-json', `-instance=${instance}`);
    assert.equal(json.code, 3);
    assert.equal(JSON.parse(json.stdout).enforcing, false);
    assert.deepEqual(filesOf(instance), []);
  });

  test('whose programs somebody took off: exit 3', async (context) => {
    const enforcer = await startFor(context, host);
    const status = () => l7egg(host, 'status', `-instance=${enforcer.instance}`);
    assert.equal((await status()).code, 0);
    runCommand(['sh', '-c', `rm /sys/fs/bpf/l7egg/${enforcer.instance}/links/*-egress`]);
    const { code, stdout } = await status();
    assert.equal(code, 3);
    assert.match(stdout, /^NOT enforcing/u);
    assert.match(stdout, /eth0 .*NOT ATTACHED \(egress\)/u);
    assert.equal(await isOpen(host, BLOCKED), true);
  });
});

const CHECKS = [
  { target: 'www.ok.example', code: 0, says: /^allow www\.ok\.example: .*-cn=\.ok\.example/u },
  { target: 'WWW.OK.Example.', code: 0, says: /^allow .*-cn=\.ok\.example/u },
  { target: 'ok.example', code: 1, says: /^deny ok\.example: /u },
  { target: 'www.no.example', code: 1, says: /^deny www\.no\.example: / },
  { target: '203.0.113.10', code: 0, says: /^allow 203\.0\.113\.10: .*-cidr=203\.0\.113\.0\/28/u },
  { target: '203.0.113.11:443', code: 1, says: /^deny 203\.0\.113\.11:443: .*-deny-cidr=203\.0\.113\.11/u },
  { target: '203.0.113.66:443/tcp', code: 1, says: /^deny 203\.0\.113\.66:443\/tcp: no rule/u },
  { target: 'bad.ok.example', code: 1, says: /^deny bad\.ok\.example: .*-deny-name=bad\.ok\.example/u },
  { target: '[2001:db8:2::10]:53/udp', code: 0, says: /^allow .*-cidr=2001:db8:2::10/u },
  { target: '2001:db8:2::11', code: 1, says: /^deny 2001:db8:2::11: no rule/u },
];
const BAD_CHECKS = [
  '',
  'www..example',
  '203.0.113.10:0',
  '203.0.113.10:70000',
  'www.ok.example:80/tcpp',
  '203.0.113.256:80',
  '[2001:db8::1',
];
const CHECK_FLAGS = [
  ...FLAGS,
  '-cidr=203.0.113.0/28',
  '-cidr=2001:db8:2::10',
  '-deny-cidr=203.0.113.11',
  '-deny-name=bad.ok.example',
];

describe('check', () => {
  let enforcer: RunningEnforcer;
  before(async () => {
    enforcer = await startEnforcer(host, CHECK_FLAGS);
  });
  after(() => enforcer.stop());

  for (const { target, code, says } of CHECKS) {
    test(`${target}: exit ${code}, the first line names the rule or the reason`, async () => {
      const done = await l7egg(host, 'check', target, `-instance=${enforcer.instance}`);
      assert.match(done.stdout, says);
      assert.equal(done.code, code);
      assert.equal(done.stderr, '');
    });
  }

  for (const target of BAD_CHECKS) {
    test(`"${target}": exit 2 and one sentence that quotes it`, async () => {
      const done = await l7egg(host, 'check', target, `-instance=${enforcer.instance}`);
      assert.equal(done.code, 2);
      assert.equal(done.stdout, '');
      assert.match(done.stderr, /^l7egg-cli: [^\n]*\n$/u);
      assert.ok(done.stderr.includes(`"${target}"`), done.stderr);
    });
  }

  test('of an address that a name has leased: allowed, by the rule of the name', async () => {
    assert.equal(await isOpen(host, ALLOWED), true);
    const done = await l7egg(host, 'check', `${ALLOWED_ADDRESS}:80`, `-instance=${enforcer.instance}`);
    assert.equal(done.code, 0);
    assert.match(done.stdout, /^allow 198\.51\.100\.210:80: -cn=\.ok\.example leases/u);
    const explained = await l7egg(host, 'explain', `${ALLOWED_ADDRESS}:80`, `-instance=${enforcer.instance}`);
    assert.match(explained.stdout, /\n {2}allow names .*, by a lease for \d+ s more: applies\n$/u);
  });

  test('with nothing in force: exit 3 and a sentence', async () => {
    const done = await l7egg(host, 'check', 'www.ok.example', `-instance=${newInstance()}`);
    assert.equal(done.code, 3);
    assert.equal(done.stdout, '');
    assert.match(done.stderr, /nothing is in force/u);
  });
});

describe('with nothing there', () => {
  for (const command of ['stop', 'clean']) {
    test(`${command}: exit 0 and a sentence`, async () => {
      const instance = newInstance();
      const done = await l7egg(host, command, `-instance=${instance}`);
      assert.equal(done.code, 0);
      assert.match(
        done.stdout,
        new RegExp(`^instance "${instance}": nothing was there${OTHERS}; nothing of it is in force\n$`, 'u'),
      );
      assert.deepEqual(filesOf(instance), []);
    });
  }
});

describe('-instance is taken at any place:', () => {
  const PLACES = [
    { what: 'before the command', words: (instance: string) => [`-instance=${instance}`, 'status'] },
    { what: 'after the command', words: (instance: string) => ['status', `-instance=${instance}`] },
    { what: 'with a space and two dashes', words: (instance: string) => ['--instance', instance, 'status'] },
    {
      what: 'between command and target',
      words: (instance: string) => ['check', '-instance', instance, ALLOWED],
    },
    { what: 'after the target', words: (instance: string) => ['check', ALLOWED, '--instance', instance] },
  ];
  for (const { what, words } of PLACES) {
    test(what, async (context) => {
      const { instance } = await startFor(context, host);
      assert.equal((await l7egg(host, ...words(instance))).code, 0);
      assert.equal((await l7egg(host, ...words(newInstance()))).code, 3);
    });
  }
});

describe('-netns, from outside of the namespace', () => {
  const NAMED = [
    { what: 'a name', value: () => host.name },
    { what: 'a path', value: () => host.path },
  ];
  for (const { what, value } of NAMED) {
    test(`as ${what}: enforces there, its pins are in the bpffs of the caller`, async (context) => {
      const instance = newInstance();
      context.after(() => runCommand([findCli(), 'clean', `-instance=${instance}`]));
      // dns is another namespace than host, with an eth0 of its own.
      const resolver = ['-resolver=192.0.2.53', `-netns=${value()}`];
      const enforcer = await startEnforcer(lab.dns, [...FLAGS, ...resolver], { instance });
      assert.equal(await isOpen(host, BLOCKED), false);
      assert.equal(await isOpen(host, ALLOWED), true);
      assert.equal(await isOpen(lab.dns, BLOCKED), true, 'where it was started nothing is enforced');
      assert.ok(filesOf(instance).includes(`/sys/fs/bpf/l7egg/${instance}`));
      assert.equal(runCommand([findCli(), 'status', `-instance=${instance}`]).code, 0, 'seen from anywhere');
      await killNow(enforcer);
      assert.equal(runCommand([findCli(), 'stop', `-instance=${instance}`]).code, 0, 'stopped from anywhere');
      assert.equal(await isOpen(host, BLOCKED), true);
    });
  }

  test('that is not there: exit 2 that quotes it', async () => {
    const done = await l7egg(host, ...FLAGS, '-netns=no-such-one', `-instance=${newInstance()}`);
    assert.equal(done.code, 2);
    assert.match(done.stderr, /^l7egg-cli: .*no-such-one.*\n$/u);
  });
});

describe('whoever reads what it writes goes away, and it enforces on:', () => {
  const LOST = [
    { what: 'stdout', redirect: '> >(exec true)' },
    { what: 'stderr', redirect: '2> >(exec true)' },
    { what: 'both', redirect: '> >(exec true) 2> >(exec true)' },
  ];
  for (const { what, redirect } of LOST) {
    test(what, async (context) => {
      const instance = newInstance();
      context.after(() => l7egg(host, 'clean', `-instance=${instance}`));
      const words = [findCli(), ...FLAGS, '-log=json', `-instance=${instance}`];
      const process = host.spawn('bash', ['-c', `exec "$@" ${redirect}`, 'bash', ...words]);
      const status = () => l7egg(host, 'status', `-instance=${instance}`);
      await until(async () => (await status()).code === 0, { limitMs: LIMIT_MS, what: 'status 0' });
      for (const target of [BLOCKED, '203.0.113.67', '203.0.113.68']) {
        assert.equal(await isOpen(host, target), false);
      }
      process.kill('SIGHUP'); // it has a remark on that
      assert.equal(await isOpen(host, ALLOWED), true);
      assert.match((await status()).stdout, new RegExp(`process +${process.pid}`, 'u'));
      process.kill('SIGTERM');
      assert.deepEqual(await process.exited, { code: 0, signal: null });
      assert.deepEqual(filesOf(instance), []);
    });
  }
});
