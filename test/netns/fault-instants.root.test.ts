/*
 * kill -9 and SIGSTOP at any instant of start, reload, stop, clean and learning: never open, never half a policy, live
 * flows live, `status` tells the truth, the next start works, `clean` leaves nothing. The lab is that of
 * robust-lab.ts, with a resolver that knows every name; the traffic and what has to hold: invariants.ts.
 *
 * L7EGG_SEED, L7EGG_FUZZ=ROUNDS.
 */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { after, before, type TestContext, test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { makeRng, type Rng } from '../dns/rng.ts';
import { fuzzSettings } from '../fuzz/fuzz-settings.ts';
import { createCgroup } from '../lab/cgroup.ts';
import { findCli } from '../lab/checkout.ts';
import type { Namespace } from '../lab/namespace.ts';
import type { Process } from '../lab/process.ts';
import { startTcpEcho } from '../lab/servers.ts';
import { HOST, type Lab, RESOLVERS } from '../lab/topology.ts';
import {
  ANY_NAME,
  assertNothingLeft,
  assertTruthful,
  ECHO,
  isReached,
  type Judged,
  noteKernel,
  type Prober,
  startAnyName,
  startProber,
} from './invariants.ts';
import { type EchoFlow, openEchoFlow } from './learning-flow.ts';
import { makeDirectory, policyText, replaceFile } from './reload-lab.ts';
import { chains, createRobustLab, l7egg, newInstance } from './robust-lab.ts';

const { seed, rounds } = fuzzSettings(24);
const LIMIT_MS = 15_000;
/** Allowed by one version of the policy each. */
const VERSIONS = ['198.51.100.21', '198.51.100.22'] as const;
const KINDS = ['tcx', 'clsact', 'cgroup'] as const;
const RESOLVER_FLAG = `-resolver=${RESOLVERS[0].v4},${ANY_NAME.v4}`;

let lab: Lab;
let host: Namespace;

before(async () => {
  lab = await createRobustLab();
  host = lab.host;
  await Promise.all([startAnyName(lab), startTcpEcho(host)]);
});
after(() => lab.close());

type Action = 'start' | 'reload' | 'learning' | 'stop' | 'clean';
const ACTIONS: readonly [Action, ...Action[]] = [
  'start',
  'start',
  'start',
  'reload',
  'reload',
  'reload',
  'learning',
  'stop',
  'stop',
  'clean',
];
type Strike = 'kill' | 'stop and kill' | 'stop and continue';

/** An instance that is struck again and again, and what is known of it. */
class Victim {
  readonly judged: Judged;
  readonly #rng: Rng;
  readonly #file: string;
  readonly #prober: Prober;
  readonly #inbound: EchoFlow | undefined;
  readonly #start: () => Process;
  readonly #text: (version: number) => string;
  #process: Process | undefined;
  #version = 0;
  #startMs = 0;
  /** What was done when. */
  readonly #log: string[] = [];
  /** By count. */
  readonly done = new Map<string, number>();

  constructor(
    of: Pick<Victim, 'judged'> & {
      rng: Rng;
      file: string;
      prober: Prober;
      inbound: EchoFlow | undefined;
      start: () => Process;
      text: (version: number) => string;
    },
  ) {
    this.judged = of.judged;
    this.#rng = of.rng;
    this.#file = of.file;
    this.#prober = of.prober;
    this.#inbound = of.inbound;
    this.#start = of.start;
    this.#text = of.text;
  }

  /** Starts it and waits until it enforces. */
  async begin(): Promise<void> {
    const from = performance.now();
    this.#process = this.#start();
    await this.#process.waitForLine(/^enforcing/u, LIMIT_MS);
    this.#startMs = performance.now() - from;
  }

  /** Strikes once, and asserts all that has to hold. */
  async round(number: number): Promise<void> {
    const action = this.#rng.pick(ACTIONS);
    const strike = this.#rng.pick<Strike>(['kill', 'stop and kill', 'stop and continue']);
    const when = `seed ${seed}, round ${number}: ${strike} at ${action}`;
    this.done.set(action, (this.done.get(action) ?? 0) + 1);
    this.#note(`${when}: prepare`);
    await this.#prepare(action);
    this.#note('begin');
    const noted = noteKernel(this.judged.instance);
    const command = this.#begin(action);
    await pause(this.#delayMs(action));
    if (command !== undefined) {
      // Of a command that was struck nobody knows how far the enforcer has come by it.
      command.kill('SIGKILL');
      await command.exited;
    }
    this.#note(`strike, command ${command?.pid}`);
    await this.#strike(action, command === undefined ? strike : 'kill', when);
    this.#note('struck');
    const { enforcing } = await this.#assertWhole(when);
    this.#note(`enforcing ${enforcing}`);
    if (!enforcing && this.#rng.oneIn(2)) {
      this.#process?.kill('SIGKILL');
      await this.#process?.exited;
      const { code, stderr } = await l7egg(host, 'clean', `-instance=${this.judged.instance}`);
      assert.equal(code, 0, `${when}: clean: ${stderr}`);
      await assertNothingLeft(this.judged, noted, when);
    }
    if (enforcing) await this.#prober.strict();
  }

  /** Has it in force, then stops and cleans it for good. */
  async end(least: number): Promise<string> {
    await this.#beAlive();
    await this.#prober.strict();
    await this.#assertWhole('at the end');
    await pause(300); // of traffic while nothing happens
    const report = await this.#prober.finish(least, this.#log);
    const noted = noteKernel(this.judged.instance);
    const { code } = await l7egg(host, 'stop', `-instance=${this.judged.instance}`);
    assert.equal(code, 0);
    await assertNothingLeft(this.judged, noted, 'at the end');
    return JSON.stringify(report);
  }

  #note(what: string): void {
    this.#log.push(`${new Date().toISOString()} ${what}`);
  }

  async #beAlive(): Promise<void> {
    if (this.#process?.exit !== undefined || this.#process === undefined) await this.begin();
  }

  async #prepare(action: Action): Promise<void> {
    if (action !== 'start' && (action !== 'clean' || this.#rng.oneIn(2))) await this.#beAlive();
    if (action === 'stop' || action === 'clean') await this.#prober.free();
    if (action !== 'start') return;
    this.#process?.kill('SIGKILL');
    await this.#process?.exited;
  }

  /** Answers the command that does it, where it is not the enforcer itself. */
  #begin(action: Action): Process | undefined {
    const instance = `-instance=${this.judged.instance}`;
    switch (action) {
      case 'start':
        this.#process = this.#start();
        return undefined;
      case 'reload': {
        this.#version = 1 - this.#version;
        replaceFile(this.#file, this.#text(this.#version));
        if (this.#rng.oneIn(2)) this.#process?.kill('SIGHUP');
        return this.#rng.oneIn(3) ? host.spawn(findCli(), ['reload', instance]) : undefined;
      }
      case 'stop':
        if (this.#rng.oneIn(3)) return host.spawn(findCli(), ['stop', instance]);
        this.#process?.kill('SIGTERM');
        return undefined;
      case 'clean':
        return host.spawn(findCli(), ['clean', instance]);
      case 'learning':
        return undefined;
      default:
        return action satisfies never;
    }
  }

  /* The last part of a start is the one that changes the kernel. */
  #delayMs(action: Action): number {
    switch (action) {
      case 'start':
        return this.#rng.oneIn(4)
          ? this.#rng.below(this.#startMs)
          : this.#startMs * 0.5 + this.#rng.below(this.#startMs * 0.6);
      case 'reload':
        return this.#rng.oneIn(2) ? this.#rng.below(60) : 180 + this.#rng.below(120);
      case 'clean':
      case 'stop':
        return this.#rng.oneIn(2) ? this.#rng.below(20) : this.#rng.below(120);
      case 'learning':
        return this.#rng.below(60);
      default:
        return action satisfies never;
    }
  }

  async #strike(action: Action, strike: Strike, when: string): Promise<void> {
    const process = this.#process;
    if (process === undefined) return;
    if (strike !== 'kill') {
      process.kill('SIGSTOP');
      if (this.#rng.oneIn(3)) await this.#assertWhole(`${when}, while it stands still`);
      else await pause(this.#rng.below(30));
    }
    if (strike === 'stop and continue') {
      process.kill('SIGCONT');
      await this.#settle(action, process);
      return;
    }
    process.kill('SIGKILL');
    await process.exited;
  }

  /* Nothing that can be seen changes any more. */
  async #settle(action: Action, process: Process): Promise<void> {
    if (action === 'stop') await process.exited;
    if (action === 'start') await process.waitForLine(/^enforcing/u, LIMIT_MS);
    if (action !== 'reload') return;
    const mark = process.mark();
    const { code } = await l7egg(host, 'reload', `-instance=${this.judged.instance}`);
    assert.equal(code, 0, process.tail());
    await process.waitForLine(/^reloaded/u, LIMIT_MS, mark);
  }

  /* What is in force is one version of the policy, the one that is told. */
  async #assertWhole(when: string): Promise<{ enforcing: boolean }> {
    const [status] = await Promise.all([
      assertTruthful(this.judged, when),
      this.#inbound?.echo(`${when}: alive`),
    ]);
    if (!status.enforcing) return status;
    const told = VERSIONS.map((address) => status.rules.some(({ canonical }) => canonical.includes(address)));
    const open = await Promise.all(VERSIONS.map((address) => isReached(this.judged.place, address)));
    assert.deepEqual(open, told, `${when}: versions open, and told`);
    assert.equal(open.filter(Boolean).length, 1, `${when}: one version, not ${open}`);
    return status;
  }
}

async function createVictim(kind: (typeof KINDS)[number], rng: Rng): Promise<Victim> {
  const instance = newInstance();
  const file = `${makeDirectory(host)}/policy.yaml`;
  const cgroup = kind === 'cgroup' ? host.use(createCgroup(host, 'victim')) : undefined;
  const place = cgroup ?? host;
  const settings = cgroup ? [`subject: 'cgroup:${cgroup.path}'`] : [];
  const text = (version: number) =>
    policyText(
      [
        '{name: named, suffixes: [.ok.example]}',
        `{name: always, cidrs: [${ECHO}]}`,
        `{name: version, cidrs: [${VERSIONS[version] ?? ''}]}`,
      ],
      settings,
    );
  writeFileSync(file, text(0));
  const served = cgroup ? [] : ['-iface=eth0', '-eface=eth0'];
  const words = [...served, `-policy=${file}`, RESOLVER_FLAG, `-instance=${instance}`];
  const env = kind === 'clsact' ? { L7EGG_ATTACH: 'clsact' } : {};
  const start = () => host.spawn(findCli(), words, { env });
  const refusal = cgroup ? { refusal: 'EPERM' } : {};
  const prober = await startProber(place, { nonce: kind, paceMs: 12, ...refusal });
  const inbound = cgroup ? undefined : await openEchoFlow(lab.web, `TCP4:${HOST.v4}:7`);
  const hooks: string[] = [];
  const judged: Judged = { host, instance, place, hooks };
  const victim = new Victim({ judged, rng, file, prober, inbound, start, text });
  await victim.begin();
  hooks.push(...(await chains(host)).filter((line) => line.includes('l7egg')));
  await prober.strict();
  return victim;
}

for (const kind of KINDS) {
  const share = Math.ceil(rounds / KINDS.length);
  test(`${kind}: struck at ${share} instants, seed ${seed}: all holds`, async (context: TestContext) => {
    const victim = await createVictim(kind, makeRng(seed + KINDS.indexOf(kind)));
    context.after(() => l7egg(host, 'clean', `-instance=${victim.judged.instance}`));
    for (let number = 1; number <= share; number++) await victim.round(number);
    const report = await victim.end(share);
    const counts = [...victim.done].map(([action, count]) => `${count} ${action}`).join(', ');
    context.diagnostic(`instants: ${kind}, seed ${seed}, ${share} rounds (${counts}): ${report}`);
  });
}
