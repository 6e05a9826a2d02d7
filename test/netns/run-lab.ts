/*
 * The lab of the tests of `l7egg-cli run`: that of subject-lab.ts, in whose cgroup A the command is called.
 *
 *   host 192.0.2.2 eth0 ── wire ── dns  unbound 192.0.2.53
 *     └── cgroup A  the caller       └─ web  nginx on 80, 443, 8443; TCP and UDP echo on port 7
 *           └── l7egg/NAME  the command
 *
 * www.ok.example is 198.51.100.1, www.no.example 198.51.100.2, both with an IPv6 address as well.
 */
import assert from 'node:assert/strict';
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { PIN_ROOT } from '../../src/datapath/pins.ts';
import { RUN_ROOT } from '../../src/enforcer/run-dir.ts';
import { findCli } from '../lab/checkout.ts';
import type { Place } from '../lab/clients.ts';
import type { RunOptions, RunResult } from '../lab/command.ts';
import type { Process } from '../lab/process.ts';
import type { DnsRecord } from '../lab/records.ts';
import { distinctRecords } from './learning-lab.ts';
import { newInstance } from './robust-lab.ts';
import { createSubjectLab, type SubjectLab } from './subject-lab.ts';

/** A name that tests allow. */
export const OK = 'www.ok.example';
/** A name that no rule of a test allows, and that has addresses. */
export const NO = 'www.no.example';
export const OK_ADDRESS = { v4: '198.51.100.101', v6: '2001:db8:2::65' };
export const NO_ADDRESS = { v4: '198.51.100.102', v6: '2001:db8:2::66' };

/** What l7egg-cli itself wrote to stderr. */
const OWN_LINE = /^l7egg-cli: run: /u;

/** How a run ended. */
export interface Ran extends RunResult {
  /** What was said of the run, without what the command wrote. */
  readonly said: readonly string[];
}

/** The lab with the command under test in it. */
export class RunLab implements Disposable {
  readonly base: SubjectLab;

  constructor(base: SubjectLab) {
    this.base = base;
  }

  /** The words that run `command` with `flags`. */
  words(flags: readonly string[], command: readonly string[]): string[] {
    return ['run', ...flags, '--', ...command];
  }

  /** Runs `command` with `flags` to its end, called in cgroup A or in another place. */
  async run(
    flags: readonly string[],
    command: readonly string[],
    options: RunOptions & { readonly place?: Place } = {},
  ): Promise<Ran> {
    const { place = this.base.a } = options;
    const done = await place.runAsync(findCli(), this.words(flags, command), options);
    const said = done.stderr.split('\n').filter((line) => OWN_LINE.test(line));
    return { ...done, said: said.map((line) => line.replace(OWN_LINE, '')) };
  }

  /** Starts `command` with `flags` under an instance that nobody else has. */
  start(
    flags: readonly string[],
    command: readonly string[],
    instance = newInstance(),
  ): { process: Process; instance: string } {
    const words = this.words([`-instance=${instance}`, ...flags], command);
    return { process: this.base.a.spawn(findCli(), words), instance };
  }

  /** A place for clients: what they start is run with `flags`. */
  place(flags: readonly string[]): Place {
    return { runAsync: (command, args, options) => this.run(flags, [command, ...args], options) };
  }

  /** What is there of an instance on this host: pins, state, its cgroup. */
  tracesOf(instance: string): readonly string[] {
    const paths = [`${PIN_ROOT}/${instance}`, `${RUN_ROOT}/${instance}`, this.cgroupOf(instance)];
    return paths.filter((path) => existsSync(path));
  }

  /** Asserts that nothing of a run is left, and no cgroup of any run that was called in cgroup A. */
  hasLeftNothing(instance: string): void {
    assert.deepEqual(this.tracesOf(instance), []);
    const below = readdirSync(this.base.a.directory, { withFileTypes: true });
    assert.deepEqual(
      below.filter((entry) => entry.isDirectory()).map(({ name }) => name),
      [],
    );
  }

  /** Directory of the cgroup of an instance. */
  cgroupOf(instance: string): string {
    return join(this.base.a.directory, 'l7egg', instance);
  }

  close(): void {
    this.base.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }
}

/** Brings the lab up; `records` are added. */
export async function createRunLab(records: readonly DnsRecord[] = []): Promise<RunLab> {
  return new RunLab(await createSubjectLab([...distinctRecords([OK, NO], 101), ...records]));
}
