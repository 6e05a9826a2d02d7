/*
 * The lab of the tests of subjects: cgroups whose processes are judged by policies of their own.
 *
 *   host 192.0.2.2, 2001:db8:1::2 eth0 ── wire ── dns  unbound 192.0.2.53, 2001:db8:1::53
 *     │                                    └───── web  nginx on 80, 443, 8443; TCP and UDP echo on port 7,
 *     ├── cgroup A (a subject)                         at all addresses of its prefixes
 *     ├── cgroup B (another, or none)
 *     └── processes of no subject
 */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';
import { type Cgroup, createCgroup } from '../lab/cgroup.ts';
import { findCheckout } from '../lab/checkout.ts';
import type { Place } from '../lab/clients.ts';
import { mustRun } from '../lab/command.ts';
import type { Namespace } from '../lab/namespace.ts';
import type { DnsRecord } from '../lab/records.ts';
import { startUnbound } from '../lab/resolvers.ts';
import { startTcpEcho, startUdpEcho, startWeb } from '../lab/servers.ts';
import { createLab, type Lab, RESOLVERS } from '../lab/topology.ts';
import { type EnforcerOptions, type LoggedEvent, type RunningEnforcer, startEnforcer } from './enforcer.ts';
import { distinctRecords } from './learning-lab.ts';
import { l7egg, newInstance } from './robust-lab.ts';

/** Names of which each has the web address of its place, from 1. */
export const NAMES = ['one.ok.example', 'two.ok.example', 'three.ok.example', 'no.example', 'evil.example'];
export const RESOLVER = RESOLVERS[0];

/** What came of an attempt: `ok`, `silence` or the name of an errno. */
export interface Attempt {
  readonly came: string;
  readonly ms: number;
}

/** An address that no test allows. */
const NOWHERE = '203.0.113.254';
/** How long an attempt takes to find that nobody answers. */
const PROBE_LIMIT_MS = 5_000;

/** The usual lab with servers, and two cgroups. */
export class SubjectLab implements Disposable {
  readonly lab: Lab;
  readonly host: Namespace;
  readonly a: Cgroup;
  readonly b: Cgroup;
  readonly probe: string;
  #asked = 0;

  constructor(lab: Lab) {
    this.lab = lab;
    this.host = lab.host;
    this.probe = join(lab.host.directory, 'probe');
    const sources = ['subject-probe.c', 'subject-ways.c'].map((name) =>
      join(findCheckout(), 'test', 'netns', name),
    );
    mustRun(['clang', '-std=gnu11', '-O1', '-Wall', '-Wextra', '-Werror', ...sources, '-o', this.probe]);
    lab.host.must('sh', ['-c', 'echo 0 2147483647 >/proc/sys/net/ipv4/ping_group_range']);
    this.a = this.cgroup('a');
    this.b = this.cgroup('b');
  }

  /** A cgroup of its own that is removed with the lab. */
  cgroup(label: string): Cgroup {
    return this.host.use(createCgroup(this.host, label));
  }

  /** Makes one attempt of subject-probe.c in a namespace or a cgroup. */
  async attempt(place: Place, ...words: readonly string[]): Promise<Attempt> {
    const done = await place.runAsync(this.probe, words, { timeoutMs: PROBE_LIMIT_MS });
    assert.equal(done.code, 0, `${words.join(' ')}: ${done.stderr}`);
    return readAttempt(done.stdout);
  }

  /** What came of one attempt, without how long it took. */
  async came(place: Place, ...words: readonly string[]): Promise<string> {
    return (await this.attempt(place, ...words)).came;
  }

  /**
   * Makes the socket of an attempt now, as `place` is; the attempt itself when what is answered is called.
   */
  async hold(
    place: { spawn: Namespace['spawn'] },
    ...words: readonly string[]
  ): Promise<{ pid: number; go: () => Promise<Attempt> }> {
    const held = place.spawn(this.probe, ['-hold', ...words]);
    await held.waitForLine(/^made$/, PROBE_LIMIT_MS);
    return {
      pid: held.pid,
      go: async () => {
        held.kill('SIGUSR1');
        const { code } = await held.exited;
        assert.equal(code, 0, held.tail());
        return readAttempt(held.lines.at(-1)?.text ?? '');
      },
    };
  }

  /**
   * The refusals told so far. What `place`, of a subject, is refused last is told last: so none is still on its way.
   */
  async refusals(enforcer: RunningEnforcer, place: Place): Promise<readonly LoggedEvent[]> {
    this.#asked += 1;
    const isLast = ({ dst, dport }: LoggedEvent) => dst === NOWHERE && dport === this.#asked;
    await this.attempt(place, 'tcp4', NOWHERE, `${this.#asked}`);
    await enforcer.waitForEvent(isLast);
    return enforcer.events().filter(({ verdict, dst }) => verdict === 'deny' && dst !== NOWHERE);
  }

  /** Starts an enforcer that judges `cgroups`, trusts the lab's resolver, and ends with the test. */
  judge(
    context: TestContext,
    cgroups: readonly Cgroup[],
    flags: readonly string[],
    options: EnforcerOptions = {},
  ): Promise<RunningEnforcer> {
    const named = cgroups.map(({ path }) => `-cgroup=${path}`);
    return this.enforce(context, ['-mode=cgroup', ...named, ...flags], options);
  }

  /** Starts an enforcer with these documents of policies. */
  judgeBy(
    context: TestContext,
    documents: readonly object[],
    flags: readonly string[] = [],
    options: EnforcerOptions = {},
  ): Promise<RunningEnforcer> {
    return this.enforce(context, [`-policy=${this.policyFile(documents)}`, ...flags], options);
  }

  /** Writes documents of our own kind to a file; answers its path. */
  policyFile(documents: readonly object[]): string {
    const path = join(this.host.directory, `policy-${newInstance()}.yaml`);
    const whole = documents.map((each) => ({ apiVersion: 'l7egg/v1', kind: 'EgressPolicy', ...each }));
    writeFileSync(path, whole.map((each) => JSON.stringify(each)).join('\n---\n'));
    return path;
  }

  /** Starts an enforcer on the host that ends with the test, and nothing of it is left for the next one. */
  enforce(
    context: TestContext,
    flags: readonly string[],
    options: EnforcerOptions = {},
  ): Promise<RunningEnforcer> {
    const { instance = newInstance() } = options;
    context.after(() => l7egg(this.host, 'clean', `-instance=${instance}`));
    const trusted = `-resolver=${RESOLVER.v4},${RESOLVER.v6}`;
    return startEnforcer(this.host, [trusted, ...flags], { ...options, instance });
  }

  close(): void {
    this.lab.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }
}

/** Brings the lab up, with servers; `records` are added to those of `NAMES`. */
export async function createSubjectLab(records: readonly DnsRecord[] = []): Promise<SubjectLab> {
  const lab = createLab();
  try {
    await Promise.all([
      startUnbound(lab.dns, {
        addresses: [RESOLVER.v4, RESOLVER.v6],
        records: [...distinctRecords(NAMES), ...records],
      }),
      startWeb(lab.web),
      startTcpEcho(lab.web),
      startUdpEcho(lab.web),
    ]);
    lab.host.useResolvConf(`nameserver ${RESOLVER.v4}\n`);
    return new SubjectLab(lab);
  } catch (cause) {
    lab.close();
    throw cause;
  }
}

/** Path of a program of this folder's build. */
export function scriptPath(name: string): string {
  return fileURLToPath(new URL(`${name}.js`, import.meta.url));
}

function readAttempt(line: string): Attempt {
  const [came = '', ms = ''] = line.trim().split(' ');
  return { came, ms: Number(ms) };
}
