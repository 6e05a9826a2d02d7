/*
 * `watch` in a terminal, on the real enforcer. The lab is that of robust-lab.ts.
 */
import assert from 'node:assert/strict';
import { after, before, describe, type TestContext, test } from 'node:test';
import { findCli } from '../lab/checkout.ts';
import { curl } from '../lab/clients.ts';
import { runCommand } from '../lab/command.ts';
import type { Namespace } from '../lab/namespace.ts';
import { Pty } from '../lab/pty.ts';
import type { Lab } from '../lab/topology.ts';
import { until } from '../lab/wait.ts';
import { type RunningEnforcer, startEnforcer } from './enforcer.ts';
import { ALLOWED, BLOCKED, createRobustLab, FLAGS, newInstance, startFor } from './robust-lab.ts';

const LIMIT_MS = 15_000;
const OTHER_BLOCKED = '203.0.113.99';

let lab: Lab;
let host: Namespace;
let enforcer: RunningEnforcer;

before(async () => {
  lab = await createRobustLab();
  host = lab.host;
});
after(() => lab.close());

function watch(
  context: TestContext,
  { instance }: { readonly instance: string },
  { columns = 100, rows = 30, words = [], env = {} }: Partial<View> = {},
): Pty {
  const pty = new Pty([findCli(), 'watch', `-instance=${instance}`, ...words], columns, rows, env);
  context.after(() => pty[Symbol.dispose]());
  return pty;
}

interface View {
  readonly columns: number;
  readonly rows: number;
  readonly words: readonly string[];
  readonly env: Readonly<Record<string, string>>;
}

/* The shell, which has the terminal before and after, says how it ended. */
function watchFromShell(context: TestContext, { instance }: RunningEnforcer): Pty {
  const command = `${findCli()} watch -instance=${instance}; echo "ended $?"; read -r line`;
  const pty = new Pty(['bash', '-c', command], 90, 25);
  context.after(() => pty[Symbol.dispose]());
  return pty;
}

async function assertRestored(pty: Pty): Promise<void> {
  assert.equal(pty.isAlternate, false, 'the screen of before is back');
  assert.equal(await pty.mode(), 'cooked');
  const all = pty.outputs.map(({ text }) => text).join('');
  assert.ok(all.lastIndexOf('\x1b[?25h') > all.lastIndexOf('\x1b[?25l'), 'the cursor is back');
  assert.ok(all.lastIndexOf('\x1b[?7h') > all.lastIndexOf('\x1b[?7l'), 'lines are wrapped again');
}

describe('watch', () => {
  before(async () => {
    enforcer = await startEnforcer(host, FLAGS);
  });
  after(() => enforcer.stop());

  test('shows the enforcer, who goes where, and events as they come', async (context) => {
    const pty = watch(context, enforcer);
    await pty.waitFor(/enforcing/u);
    await curl(host, `http://${ALLOWED}/`);
    await curl(host, `http://${BLOCKED}/`);
    const text = await pty.waitFor(/events[\s\S]*deny +curl.*203\.0\.113\.66:80/u);
    assert.match(text, new RegExp(`^l7egg ${enforcer.instance}  enforcing  up `, 'u'));
    assert.match(text, /^for host$/mu);
    assert.match(text, /^ +1 allow +curl +www\.ok\.example +198\.51\.100\.210:80\/tcp +-cn=\.ok\.exa/mu);
    assert.match(text, /^ +1 deny +curl +- +203\.0\.113\.66:80\/tcp +no-rule/mu);
    assert.match(text, /\d\d:\d\d:\d\d\.\d{3} deny +curl\[\d+\] - 203\.0\.113\.66:80\/tcp no-rule$/mu);
    await pty.waitFor(/^refused [1-9]\d* +flows \d+ out \d+ in +leases 1 +lost 0$/mu);
    await pty.waitFor(/^allow 0\.2\/s +deny 0\.2\/s/mu);
    pty.press('q');
    assert.equal(await pty.exited, 0);
  });

  test('keys: denies only, all, order, find, pause, help', async (context) => {
    const pty = watch(context, enforcer);
    await curl(host, `http://${ALLOWED}/`);
    await curl(host, `http://${BLOCKED}/`);
    await pty.waitFor(/allow +curl +www[\s\S]*events/u);
    pty.press('d');
    await until(() => !/allow +curl/u.test(pty.text()), { limitMs: LIMIT_MS, what: 'only denies' });
    await pty.waitFor(/deny +curl/u);
    await pty.waitFor(/denies only/u);
    pty.press('a');
    await pty.waitFor(/allow +curl/u);
    pty.press('s');
    await pty.waitFor(/targets by last/u);
    pty.press('s');
    await pty.waitFor(/targets by name/u);
    pty.press('/ok.ex');
    await pty.waitFor(/^\/ok\.ex/mu);
    pty.press('\r');
    await pty.waitFor(/with "ok\.ex"/u);
    await until(() => !/203\.0\.113\.66/u.test(pty.text()), {
      limitMs: LIMIT_MS,
      what: 'what was looked for',
    });
    assert.match(pty.text(), /allow +curl +www\.ok\.example/u);
    pty.press('a');
    await pty.waitFor(/203\.0\.113\.66/u);
    pty.press('p');
    await pty.waitFor(/PAUSED/u);
    await curl(host, `http://${OTHER_BLOCKED}/`);
    await pty.waitFor(/paused: [1-9]/u);
    assert.doesNotMatch(pty.text(), /203\.0\.113\.99/u);
    pty.press('p');
    await pty.waitFor(/203\.0\.113\.99/u);
    pty.press('?');
    await pty.waitFor(/pause, and go on/u);
    pty.press('x');
    await until(() => !/pause, and go on/u.test(pty.text()), { limitMs: LIMIT_MS, what: 'the table again' });
    pty.press('\x03');
    assert.equal(await pty.exited, 0);
  });

  test('arrows and pages scroll through more targets than there is room for', async (context) => {
    const pty = watch(context, enforcer, { columns: 80, rows: 24 });
    const script = Array.from({ length: 40 }, (_, i) => `echo >/dev/udp/203.0.113.${100 + i}/9;`).join(' ');
    await host.runAsync('bash', ['-c', script]);
    await pty.waitFor(/1 to \d+ of \d\d/u);
    pty.press('\x1b[6~');
    await pty.waitFor(/(?!1 to)\d+ to \d+ of/u);
    pty.press('\x1b[F');
    await pty.waitFor(/to (\d+) of \1/u);
    pty.press('\x1b[H');
    await pty.waitFor(/[^\d]1 to/u);
    pty.press('\x1b[B');
    await pty.waitFor(/[^\d]2 to/u);
    pty.press('q');
    assert.equal(await pty.exited, 0);
  });

  test('filters are those of observe', async (context) => {
    const pty = watch(context, enforcer, { words: ['-verdict=deny', '-to=203.0.113.66'] });
    await pty.waitFor(/enforcing/u);
    await curl(host, `http://${OTHER_BLOCKED}/`);
    await curl(host, `http://${BLOCKED}/`);
    const text = await pty.waitFor(/203\.0\.113\.66/u);
    assert.doesNotMatch(text, /203\.0\.113\.99|allow +curl/u);
    pty.press('q');
    await pty.exited;
  });

  test('follows the size of the terminal, down to 40 columns', async (context) => {
    const pty = watch(context, enforcer, { columns: 120, rows: 40 });
    await curl(host, `http://${ALLOWED}/`);
    await pty.waitFor(/www\.ok\.example +198/u);
    for (const [columns, rows] of [
      [80, 24],
      [40, 12],
      [100, 30],
    ] as const) {
      pty.resize(columns, rows);
      const isDrawn = () => {
        const [first = '', ...others] = pty.lines();
        return first.startsWith(`l7egg ${enforcer.instance}`) && others.at(-1)?.startsWith('q quit');
      };
      await until(isDrawn, { limitMs: LIMIT_MS, what: `a frame of ${columns} columns` });
      await pty.waitFor(/www\.ok\.example/u);
    }
    pty.press('q');
    assert.equal(await pty.exited, 0);
  });

  test('writes a frame at a time, ten in a second at most, and nothing that flickers', async (context) => {
    const pty = watch(context, enforcer);
    await pty.waitFor(/enforcing/u);
    const from = pty.outputs.length;
    const flood = Array.from(
      { length: 300 },
      (_, i) => `echo >/dev/udp/203.0.113.${i % 250}/${20 + i};`,
    ).join(' ');
    await host.runAsync('bash', ['-c', flood]);
    await pty.waitFor(/203\.0\.113\.49:319/u);
    const outputs = pty.outputs.slice(from);
    const all = outputs.map(({ text }) => text).join('');
    const seconds = ((outputs.at(-1)?.atMs ?? 0) - (outputs[0]?.atMs ?? 0)) / 1000;
    const frames = all.split('\x1b[?2026h').length - 1;
    assert.equal(all.split('\x1b[?2026l').length - 1, frames);
    assert.ok(frames <= 10 * seconds + 2, `${frames} frames in ${seconds} s`);
    assert.doesNotMatch(all, /\[2J/u);
    pty.press('q');
    await pty.exited;
  });

  test('without colours where NO_COLOR says so', async (context) => {
    await curl(host, `http://${BLOCKED}/`);
    const coloured = watch(context, enforcer, { env: { FORCE_COLOR: '1' } });
    await coloured.waitFor(/deny +curl/u);
    const plain = watch(context, enforcer, { env: { NO_COLOR: '1' } });
    await plain.waitFor(/deny +curl/u);
    const isColoured = ({ outputs }: Pty) => outputs.some(({ text }) => /\[3\dm/u.test(text));
    assert.deepEqual([isColoured(coloured), isColoured(plain)], [true, false]);
    for (const pty of [coloured, plain]) pty.press('q');
    await Promise.all([coloured.exited, plain.exited]);
  });

  for (const [how, act, code] of [
    ['q', (pty: Pty) => pty.press('q'), 0],
    ['Ctrl-C', (pty: Pty) => pty.press('\x03'), 0],
    ['SIGTERM', (pty: Pty) => signalChild(pty, 'SIGTERM'), 143],
    ['SIGINT', (pty: Pty) => signalChild(pty, 'SIGINT'), 130],
  ] as const) {
    test(`gives the terminal back at ${how}`, async (context) => {
      const pty = watchFromShell(context, enforcer);
      await pty.waitFor(/enforcing/u);
      assert.equal(pty.isAlternate, true);
      assert.equal(await pty.mode(), 'raw');
      act(pty);
      await pty.waitFor(new RegExp(`ended ${code}`, 'u'));
      await assertRestored(pty);
    });
  }

  test('goes to the shell at Ctrl-Z and comes back by fg', async (context) => {
    const pty = new Pty(['bash', '--norc', '--noprofile', '-i'], 90, 25);
    context.after(() => pty[Symbol.dispose]());
    await pty.waitFor(/[#$] /u);
    pty.press(`${findCli()} watch -instance=${enforcer.instance}\n`);
    await pty.waitFor(/enforcing/u);
    pty.press('\x1a');
    await pty.waitFor(/Stopped/u);
    assert.equal(pty.isAlternate, false);
    pty.press('fg\n');
    await pty.waitFor(/enforcing[\s\S]*q quit/u);
    assert.equal(pty.isAlternate, true);
    pty.press('q');
    await until(() => !pty.isAlternate, { limitMs: LIMIT_MS, what: 'the shell' });
    pty.press('exit 6\n');
    assert.equal(await pty.exited, 6);
  });
});

/* The launcher has become the command. */
function signalChild({ pid }: Pty, signal: NodeJS.Signals): void {
  process.kill(Number(runCommand(['pgrep', '-P', `${pid}`]).stdout), signal);
}

for (const signal of ['SIGTERM', 'SIGUSR2', 'SIGKILL'] as const) {
  test(`the enforcer ends by ${signal}: it says so, exits 3, and the terminal is as before`, async (context) => {
    const own = await startFor(context, host);
    const pty = watchFromShell(context, own);
    await pty.waitFor(/enforcing/u);
    own.process.kill(signal);
    await pty.waitFor(/ended 3/u);
    const how = signal === 'SIGKILL' ? 'was killed; what it had put in force stays so' : 'has ended';
    assert.match(pty.text(), new RegExp(`^instance "${own.instance}": the enforcer ${how}$`, 'mu'));
    await assertRestored(pty);
  });
}

test('names that try to take the terminal over are harmless', async (context) => {
  const own = await startFor(context, host, [...FLAGS, '-dns=strict']);
  const pty = watch(context, own, { columns: 80, rows: 24 });
  await pty.waitFor(/enforcing/u);
  const evil = `\x1b[2Jev\u202eil`;
  await host.runAsync('bash', [
    '-c',
    `cp /bin/bash "$0/${evil}" && "$0/${evil}" -c 'echo >/dev/udp/203.0.113.7/9'`,
    host.directory,
  ]);
  const text = await pty.waitFor(/203\.0\.113\.7:9/u);
  assert.match(text, /\\x1b\[2J/u);
  assert.match(text, /^l7egg /u, 'the head stands where it stood');
  assert.ok(!pty.outputs.some(({ text: raw }) => raw.includes('\u202e')));
  assert.match(pty.lines().at(-1) ?? '', /^q quit/u);
  pty.press('q');
  assert.equal(await pty.exited, 0);
});

test('without a process it exits 3, without a terminal it points to observe -f', async (context) => {
  const instance = newInstance();
  const pty = watch(context, { instance });
  assert.equal(await pty.exited, 3);
  assert.match(pty.text(), /no process tells of events/u);
  const piped = runCommand([findCli(), 'watch', `-instance=${instance}`]);
  assert.equal(piped.code, 2);
  assert.match(piped.stderr, /watch needs a terminal: "l7egg-cli observe -f"/u);
});
