/*
 * Bad input, and hosts that lack something: one clear sentence that quotes it, the exit code of design.md §5,
 * nothing changed. The lab is that of robust-lab.ts, with somebody else's program on eth0.
 */
import assert from 'node:assert/strict';
import { cpSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { PIN_ROOT } from '../../src/datapath/pins.ts';
import { findCheckout, findCli } from '../lab/checkout.ts';
import { mustRun, type RunResult } from '../lab/command.ts';
import type { Namespace } from '../lab/namespace.ts';
import type { Lab } from '../lab/topology.ts';
import { compileFixture } from '../libbpf/fixture.ts';
import { startEnforcer } from './enforcer.ts';
import {
  BLOCKED,
  chains,
  createRobustLab,
  FLAGS,
  filesOf,
  isOpen,
  killNow,
  l7egg,
  newInstance,
  startFor,
  startScript,
} from './robust-lab.ts';

const LIMIT_MS = 5_000;
const object = compileFixture();
const directory = mkdtempSync(join(tmpdir(), 'l7egg-bad-'));

let lab: Lab;
let host: Namespace;
let usual: readonly string[];

before(async () => {
  lab = await createRobustLab();
  host = lab.host;
  const stranger = startScript(host, 'robust-stranger', object, 'eth0', 'egress', 'tcx');
  await stranger.waitForLine(/^attached$/, LIMIT_MS);
  usual = await chains(host);
});
after(() => {
  lab.close();
  rmSync(directory, { recursive: true, force: true });
});

/** Asserts one sentence on stderr and nothing on stdout, `code`, and a host as it was. */
async function assertRefused(
  done: RunResult,
  code: number,
  says: string | RegExp,
  instance: string,
): Promise<void> {
  assert.equal(done.code, code, done.stderr);
  assert.equal(done.stdout, '');
  assert.match(done.stderr, /^l7egg-cli: [^\n]+\n$/u);
  if (typeof says === 'string') assert.ok(done.stderr.includes(says), done.stderr);
  else assert.match(done.stderr, says);
  assert.deepEqual(await chains(host), usual);
  assert.deepEqual(filesOf(instance), []);
}

const EFACE = ['-iface=eth0', '-eface=eth0'];
const LEGAL = '-cidr=203.0.113.1';
const BAD_FLAGS: readonly { readonly args: readonly string[]; readonly says: string | RegExp }[] = [
  { args: [LEGAL, '-cdir=203.0.113.0/24'], says: /"-cdir=203\.0\.113\.0\/24", did you mean "-cidr"/u },
  { args: [LEGAL, '--no-such-flag'], says: '"--no-such-flag"' },
  { args: [LEGAL, '-cn'], says: 'flag -cn needs a value' },
  { args: [LEGAL, '-cn='], says: 'flag -cn needs a value' },
  { args: [LEGAL, '-cn', '-port=80'], says: '-cn=-port=80' },
  { args: ['-cidr=203.0.113.0/33'], says: /"203\.0\.113\.0\/33".*0 to 32 is legal/u },
  { args: ['-cidr=2001:db8::/129'], says: /"2001:db8::\/129".*0 to 128 is legal/u },
  { args: ['-cidr=203.0..1'], says: /"203\.0\.\.1".*legal/u },
  { args: ['-cidr=203.0.113'], says: /"203\.0\.113" .*legal/u },
  { args: ['-cidr=203.0.113.0/24,,203.0.113.1'], says: '"203.0.113.0/24,,203.0.113.1"' },
  { args: [LEGAL, '-deny-cidr=host'], says: /"host".*legal/u },
  { args: [LEGAL, '-port=0'], says: /"0": 1 to 65535 is legal/u },
  { args: [LEGAL, '-port=65536'], says: /"65536": 1 to 65535 is legal/u },
  { args: [LEGAL, '-port=90-80'], says: /"90-80"/u },
  { args: [LEGAL, '-port=443/tcpp'], says: /"tcpp".*tcp, udp/u },
  { args: [LEGAL, '-inbound=70000'], says: '"70000"' },
  { args: ['-cn=.'], says: /"\." .*legal/u },
  { args: ['-cn= '], says: /" ".*legal/u },
  { args: ['-cn=ok..example'], says: /"ok\.\.example".*empty label/u },
  { args: ['-cn=*.ok.example'], says: /"\*\.ok\.example".*-name/u },
  { args: ['-name=ok example'], says: '"ok example"' },
  { args: [`-name=${'a'.repeat(64)}.example`], says: 'a'.repeat(64) },
  { args: [LEGAL, '-deny-name=..'], says: '".."' },
  { args: [LEGAL, '-resolver=192.0.2.300'], says: /"192\.0\.2\.300".*legal/u },
  { args: [LEGAL, '-dns=maybe'], says: /"maybe": open or strict is legal/u },
  { args: [LEGAL, '-log=xml'], says: /"xml": text or json is legal/u },
  { args: [LEGAL, '-wait=perhaps'], says: '"perhaps"' },
  { args: [LEGAL, '-eface=eth7'], says: /"eth7".*legal/u },
  { args: [LEGAL, '-eface=lo'], says: '"lo"' },
  { args: [LEGAL, '-iface=a/b'], says: /"a\/b".*legal/u },
  { args: [LEGAL, '-netns=pid:0'], says: '"pid:0"' },
  { args: [LEGAL, '-netns=/etc/hostname'], says: '"/etc/hostname"' },
  { args: [], says: 'nothing would be allowed' },
  { args: [LEGAL, 'enforce', 'more'], says: '"more"' },
  { args: [LEGAL, 'enfroce'], says: '"enfroce"' },
];

describe('a bad flag is exit 2:', () => {
  for (const { args, says } of BAD_FLAGS) {
    test(args.join(' ') || 'no rule at all', async () => {
      const instance = newInstance();
      const done = await l7egg(host, ...EFACE, ...args, `-instance=${instance}`);
      await assertRefused(done, 2, says, instance);
    });
  }

  const BAD_INSTANCES = ['', '../etc', 'a/b', 'a b', '-x', 'a'.repeat(33)];
  for (const name of BAD_INSTANCES) {
    for (const command of ['enforce', 'status', 'stop', 'clean']) {
      test(`${command} -instance="${name}"`, async () => {
        const flags = command === 'enforce' ? [...EFACE, LEGAL] : [];
        const done = await l7egg(host, command, ...flags, `-instance=${name}`);
        await assertRefused(done, 2, name === '' ? '-instance' : `"${name}"`, newInstance());
      });
    }
  }

  test('one that is not for the command', async () => {
    const instance = newInstance();
    const done = await l7egg(host, 'status', '-cn=ok.example', `-instance=${instance}`);
    await assertRefused(done, 2, 'flag -cn is not for status', instance);
  });

  test('what is in force stays, when the next start has a bad one', async (context) => {
    const enforcer = await startFor(context, host);
    await killNow(enforcer);
    const inForce = await chains(host);
    const done = await l7egg(host, ...FLAGS, '-cidr=203.0.113.0/99', `-instance=${enforcer.instance}`);
    assert.equal(done.code, 2);
    assert.deepEqual(await chains(host), inForce);
    assert.equal(await isOpen(host, BLOCKED), false);
    assert.equal((await l7egg(host, 'status', `-instance=${enforcer.instance}`)).code, 0);
  });
});

/** A file of libbpf as the linker finds it. */
function libbpfPath(): string {
  const [, path] = /libbpf\.so\.1 .*=> (\S+)/u.exec(mustRun(['ldconfig', '-p'])) ?? [];
  assert.ok(path);
  return path;
}

const WITHOUT_CAPABILITIES = ['setpriv', '--bounding-set=-all', '--inh-caps=-all', '--'];
const NOBODY = ['setpriv', '--reuid=65534', '--regid=65534', '--clear-groups', '--'];
const PRIVATE_MOUNTS = ['unshare', '--mount', 'sh', '-c'];

/** Runs `cli` with `args` behind `wrapper`. */
function wrapped(wrapper: readonly string[], cli: string, args: readonly string[]): Promise<RunResult> {
  const [program = '', ...words] = wrapper;
  return host.runAsync(program, [...words, cli, ...args]);
}

describe('what a host lacks is exit 3 that names it:', () => {
  before(() => {
    // Somebody else may not be allowed to look into the checkout.
    for (const part of ['bin', 'dist'])
      cpSync(join(findCheckout(), part), join(directory, part), { recursive: true });
    mustRun(['chmod', '-R', 'a+rX', directory]);
  });

  const UNPRIVILEGED = [
    { who: 'root without capabilities', wrapper: WITHOUT_CAPABILITIES },
    { who: 'nobody', wrapper: NOBODY },
  ];
  for (const { who, wrapper } of UNPRIVILEGED) {
    test(`privilege to enforce: ${who}`, async () => {
      const instance = newInstance();
      const args = [...FLAGS, `-instance=${instance}`];
      const done = await wrapped(wrapper, join(directory, 'bin/l7egg-cli'), args);
      await assertRefused(done, 3, /root|CAP_/u, instance);
    });
  }

  for (const command of ['status', 'stop', 'clean', 'check']) {
    test(`privilege to ${command} what is in force by nobody`, async (context) => {
      const enforcer = await startFor(context, host);
      const args = [command, ...(command === 'check' ? [BLOCKED] : []), `-instance=${enforcer.instance}`];
      const done = await wrapped(NOBODY, join(directory, 'bin/l7egg-cli'), args);
      assert.equal(done.code, 3, `${done.stdout}${done.stderr}`);
      assert.match(done.stderr, /^l7egg-cli: [^\n]*(?:root|CAP_)[^\n]*\n$/u);
      assert.equal(enforcer.process.exit, undefined);
      assert.equal(await isOpen(host, BLOCKED), false);
    });
  }

  test('a bpffs, where none can be mounted', async () => {
    const instance = newInstance();
    const script =
      'umount /sys/fs/bpf; exec setpriv --bounding-set=-sys_admin --inh-caps=-sys_admin -- "$0" "$@"';
    const done = await wrapped([...PRIVATE_MOUNTS, script], findCli(), [...FLAGS, `-instance=${instance}`]);
    await assertRefused(done, 3, /"\/sys\/fs\/bpf"/u, instance);
  });

  test('a bpffs, in a mount namespace of its own: there it would end with the process', async () => {
    const instance = newInstance();
    const script = 'umount /sys/fs/bpf; exec "$0" "$@"';
    const done = await wrapped([...PRIVATE_MOUNTS, script], findCli(), [...FLAGS, `-instance=${instance}`]);
    await assertRefused(done, 3, /"\/sys\/fs\/bpf".*-netns=NAME/u, instance);
  });

  const LIBBPF_LESS = [
    { command: 'enforce', args: FLAGS },
    { command: 'status', args: [] },
  ];
  for (const { command, args } of LIBBPF_LESS) {
    test(`libbpf: ${command}`, async (context) => {
      const enforcer = await startFor(context, host);
      const script = `mount --bind /dev/null ${libbpfPath()}; exec "$0" "$@"`;
      const words = [command, ...args, `-instance=${enforcer.instance}`];
      await killNow(enforcer);
      const done = await wrapped([...PRIVATE_MOUNTS, script], findCli(), words);
      assert.equal(done.code, 3);
      assert.match(done.stderr, /^l7egg-cli: [^\n]*libbpf\.so\.1[^\n]*apt install libbpf1[^\n]*\n$/u);
      assert.equal(await isOpen(host, BLOCKED), false, 'what is in force stays');
    });
  }
});

describe('broken pins:', () => {
  const BREAKS = [
    { what: 'a map is missing', break: (root: string) => rmSync(`${root}/maps/flows`) },
    {
      what: 'a map is of another kind',
      break: (root: string) => {
        rmSync(`${root}/maps/flows`);
        const args = ['type', 'array', 'key', '4', 'value', '8', 'entries', '1', 'name', 'other'];
        mustRun(['bpftool', 'map', 'create', `${root}/maps/flows`, ...args]);
      },
    },
    {
      what: 'a map is a link',
      break: (root: string) => {
        rmSync(`${root}/maps/flows`);
        const [link = ''] = readdirSync(`${root}/links`).filter((name) => name.endsWith('ingress'));
        mustRun(['mv', `${root}/links/${link}`, `${root}/maps/flows`]);
      },
    },
  ];
  for (const { what, break: breakPins } of BREAKS) {
    test(`${what}: the next start says so and opens nothing, clean removes all`, async (context) => {
      const enforcer = await startFor(context, host);
      await killNow(enforcer);
      const { instance } = enforcer;
      breakPins(`${PIN_ROOT}/${instance}`);
      const done = await l7egg(host, ...FLAGS, `-instance=${instance}`);
      assert.ok(done.code === 3 || done.code === 1, `${done.code} ${done.stderr}`);
      assert.match(done.stderr, /^l7egg-cli: [^\n]*(?:"flows"|maps\/flows)[^\n]*clean[^\n]*\n$/u);
      assert.equal(await isOpen(host, BLOCKED), false, 'what is in force stays');
      assert.equal((await l7egg(host, 'clean', `-instance=${instance}`)).code, 0);
      assert.deepEqual(filesOf(instance), []);
      assert.equal(await isOpen(host, BLOCKED), true);
      await startEnforcer(host, FLAGS, { instance });
      assert.equal(await isOpen(host, BLOCKED), false);
    });
  }
});
