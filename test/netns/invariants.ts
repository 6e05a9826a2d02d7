/*
 * What has to hold whatever befalls an enforcer: nothing blocked passes, what is allowed works, live flows live,
 * `status` tells the truth, and `clean` leaves nothing. Used by the tests of faults; the lab is that of robust-lab.ts.
 */
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { Status } from '../../src/enforcer/status.ts';
import { findCheckout } from '../lab/checkout.ts';
import { curl, type Place } from '../lab/clients.ts';
import { mustRun } from '../lab/command.ts';
import type { Namespace } from '../lab/namespace.ts';
import { hasEnded, type Process } from '../lab/process.ts';
import { type Lab, RESOLVERS } from '../lab/topology.ts';
import { until } from '../lab/wait.ts';
import { BLOCKED, chains, filesOf, isLoaded, l7egg, pinnedPrograms } from './robust-lab.ts';
import type { Traffic, TrafficReport } from './robust-traffic.ts';
import { assertStatus } from './status-schema.ts';
import { scriptPath } from './subject-lab.ts';

/** Allowed by a prefix, and the far end of a flow that lasts. */
export const ECHO = '198.51.100.9';
/** The resolver that knows every name. */
export const ANY_NAME = RESOLVERS[1];
/** Under it every name leads to an address of its own; -cn=.ok.example allows it. */
const SUFFIX = 'fresh.ok.example';
const LIMIT_MS = 10_000;
const CURL_REFUSED = 7;

/**
 * Starts a resolver that knows every name of the form LABEL-N.ANYTHING: the Nth address from `from` on. By default
 * for the traffic, at ANY_NAME.
 */
export async function startAnyName(
  lab: Lab,
  address: string = ANY_NAME.v4,
  from = '2001:db8:2::f:0:0',
): Promise<Process> {
  const program = join(lab.dns.directory, `answers-${address}`);
  const source = join(findCheckout(), 'test', 'lab', 'answers.c');
  mustRun(['clang', '-O2', '-Wall', '-Wextra', '-Werror', source, '-o', program]);
  const resolver = lab.dns.spawn(program, [address, '198.18.0.0', from]);
  await resolver.waitForLine(/^ready$/, LIMIT_MS);
  return resolver;
}

/** Traffic that goes on all the time, from `robust-client`. */
export class Prober {
  readonly #process: Process;

  /** @param process a robust-client */
  constructor(process: Process) {
    this.#process = process;
  }

  /** From now on everything need be in force. */
  strict(): Promise<void> {
    return this.#turn('SIGUSR1', /^strict$/);
  }

  /** From now on nothing need be in force. */
  free(): Promise<void> {
    return this.#turn('SIGUSR2', /^free$/);
  }

  /**
   * Ends it; asserts that nothing failed, and that each kind of traffic was tried `least` times. `log`: what was done
   * when, to be told beside a failure.
   */
  async finish(least: number, log: readonly string[] = []): Promise<TrafficReport> {
    this.#process.kill('SIGTERM');
    const { text } = await this.#process.waitForLine(/^\{/, LIMIT_MS);
    const report: TrafficReport = JSON.parse(text);
    const story = `${text}\n${[...log, ...report.failures].sort().join('\n')}`;
    assert.deepEqual(report.failures, [], story);
    assert.equal(report.failed, 0);
    const { fresh, blocked, allowed, echoed } = report;
    assert.ok(Math.min(fresh, blocked, allowed, echoed) >= least, `of each kind ${least}: ${text}`);
    return report;
  }

  async #turn(signal: NodeJS.Signals, answer: RegExp): Promise<void> {
    const mark = this.#process.mark();
    this.#process.kill(signal);
    await this.#process.waitForLine(answer, LIMIT_MS, mark);
  }
}

/** Starts traffic in `place`, a namespace or a cgroup, that ends with the namespace. Nothing need be in force yet. */
export async function startProber(
  place: Pick<Namespace, 'spawn'>,
  options: Pick<Traffic, 'refusal' | 'paceMs'> & { readonly nonce: string },
): Promise<Prober> {
  const plan: Traffic = {
    ...options,
    resolver: ANY_NAME.v4,
    suffix: SUFFIX,
    names: 1 << 30,
    blocked: BLOCKED,
    echo: ECHO,
    isFree: true,
  };
  const client = place.spawn(process.execPath, [scriptPath('robust-client'), JSON.stringify(plan)]);
  await client.waitForLine(/^going$/, LIMIT_MS);
  return new Prober(client);
}

/** Whether `address` answers on port 80: false when the connect was refused. Throws for anything else. */
export async function isReached(place: Place, address: string): Promise<boolean> {
  const { exitCode, error } = await curl(place, `http://${address}/`, { limitMs: 2_000 });
  if (exitCode === 0) return true;
  if (exitCode === CURL_REFUSED) return false;
  throw new Error(`Cannot tell whether "${address}" is reached: curl ended with ${exitCode}, ${error}`);
}

/** Whom a policy is in force on, for `assertTruthful`. */
export interface Judged {
  readonly host: Namespace;
  readonly instance: string;
  /** Where blocked traffic is refused when it enforces: the host, or a cgroup. */
  readonly place: Place;
  /** The hooks that the host's interfaces have when it enforces, as `chains` names them without what is of others. */
  readonly hooks: readonly string[];
}

/**
 * Asserts that `status` says what can be seen: whether blocked traffic is refused, which process lives, what is
 * attached. Answers the status.
 */
export async function assertTruthful(judged: Judged, when: string): Promise<Status> {
  const { host, instance, place, hooks } = judged;
  const [said, passes] = await Promise.all([
    l7egg(host, 'status', '-json', `-instance=${instance}`),
    isReached(place, BLOCKED),
  ]);
  assert.ok(said.code === 0 || said.code === 3, `${when}: status ended with ${said.code}\n${said.stderr}`);
  const status: unknown = JSON.parse(said.stdout);
  assertStatus(status);
  assert.equal(status.enforcing, said.code === 0, when);
  assert.equal(passes, !status.enforcing, `${when}: blocked passes: ${passes}\n${said.stdout}`);
  if (status.pid !== undefined) assert.equal(hasEnded(status.pid), false, `${when}: process ${status.pid}`);
  if (status.enforcing) {
    const ours = (await chains(host)).filter((line) => line.includes('l7egg'));
    assert.deepEqual(ours, hooks, when);
    assert.equal(await isReached(place, ECHO), true, `${when}: allowed`);
  }
  return status;
}

/** What an instance has in the kernel and in files, to be found gone later. */
export function noteKernel(instance: string): { readonly programs: readonly number[] } {
  return { programs: existsSync(`/sys/fs/bpf/l7egg/${instance}/links`) ? pinnedPrograms(instance) : [] };
}

/** Asserts that nothing of an instance is left: files, pins, hooks, qdiscs, programs, nft; and that all is open. */
export async function assertNothingLeft(
  { host, instance, place }: Omit<Judged, 'hooks'>,
  noted: ReturnType<typeof noteKernel>,
  when: string,
): Promise<void> {
  assert.deepEqual(filesOf(instance), [], when);
  assert.deepEqual(await chains(host), [], when);
  assert.equal(host.must('nft', ['list', 'ruleset']), '', when);
  const { code } = await l7egg(host, 'status', `-instance=${instance}`);
  assert.equal(code, 3, when);
  assert.equal(await isReached(place, BLOCKED), true, when);
  // The kernel frees what nobody holds after a grace period.
  await until(() => noted.programs.every((id) => !isLoaded(id)), {
    limitMs: LIMIT_MS,
    what: `${when}: the end of programs ${noted.programs.join()}`,
  });
}
