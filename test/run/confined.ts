import { chmodSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { findCgroupDirectory } from '../../src/run/own-cgroup.ts';
import { type Argv, mustRun, type RunOptions, type RunResult, runCommand } from '../lab/command.ts';

/** `nobody` of Debian: a plain user without processes, files or a session of its own. */
export const PLAIN = 65534;
export const ROOT = 0;

const RUNNER = fileURLToPath(new URL('run-command.js', import.meta.url));
const PROBE = fileURLToPath(new URL('../../../test/run/probe.c', import.meta.url));

let count = 0;

/** A name for a cgroup that no other run has. */
export function freshName(): string {
  count += 1;
  return `confined-test-${process.pid}-${count}`;
}

/** The cgroup of this process, below which the runs make theirs. */
export function ownCgroupDirectory(): string {
  return findCgroupDirectory(
    readFileSync('/proc/self/cgroup', 'utf8'),
    readFileSync('/proc/self/mountinfo', 'utf8'),
  );
}

/** A folder that every user may enter and write, with the built `probe` in it; gone when closed. */
export class Bench implements Disposable {
  readonly path: string;
  readonly probe: string;

  constructor() {
    this.path = mkdtempSync(join(tmpdir(), 'l7egg-run-'));
    chmodSync(this.path, 0o777);
    this.probe = join(this.path, 'probe');
    mustRun(['clang', '-std=gnu11', '-O1', '-Wall', '-Wextra', '-Werror', PROBE, '-o', this.probe]);
  }

  [Symbol.dispose](): void {
    rmSync(this.path, { recursive: true, force: true });
  }
}

/** How a confined run differs from the usual one. */
export interface ConfinedOptions extends RunOptions {
  /** Whom sudo ran us for. */
  readonly uid?: number;
  /** Takes the kernel for one with no more than this version of landlock; 0: none. */
  readonly landlockAbi?: number;
}

/** The words that start `argv` confined. */
export function confinedArgv(argv: Argv, options: ConfinedOptions = {}, name = freshName()): Argv {
  return [process.execPath, RUNNER, name, String(options.landlockAbi ?? 'own'), ...argv];
}

/** The environment of a run for `uid`. */
export function sudoEnvironment(uid: number): Readonly<Record<string, string>> {
  return { SUDO_UID: String(uid), SUDO_GID: String(uid) };
}

/** Runs `argv` confined, to its end. */
export function runInside(argv: Argv, options: ConfinedOptions = {}): RunResult {
  const env = { ...sudoEnvironment(options.uid ?? ROOT), ...options.env };
  return runCommand(confinedArgv(argv, options), { ...options, env });
}

/** Runs `argv` as the same user and not confined. */
export function runOutside(argv: Argv, options: ConfinedOptions = {}): RunResult {
  const uid = options.uid ?? ROOT;
  return runCommand(
    uid === ROOT ? argv : ['setpriv', `--reuid=${uid}`, `--regid=${uid}`, '--clear-groups', ...argv],
    options,
  );
}

/** What a probe printed, with what else there was to say when it did not run. */
export function said(result: RunResult): string {
  return result.code === 0 ? result.stdout.trim() : `exit ${result.code}: ${result.stderr}`;
}
