import { type ChildProcess, spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { constants } from 'node:os';
import { Duplex } from 'node:stream';
import { SystemError, UnsupportedError } from '../errors.ts';
import { Scope } from '../scope.ts';
import type { Caller } from './caller.ts';
import type { Door } from './doors.ts';

/** What is run and how; see `src/run/confine/confine.h` for what the launcher does with it. */
export interface Confinement {
  /** The program and its arguments, handed on untouched. */
  readonly command: readonly [string, ...string[]];
  readonly env: NodeJS.ProcessEnv;
  readonly caller: Caller;
  readonly doors: readonly Door[];
  /** `cgroup.procs` of the cgroup that it joins first. */
  readonly cgroupProcs: string;
  /** Takes the kernel for one whose landlock has no more than this version; 0: none. For tests. */
  readonly landlockAbi?: number;
}

/** How it ended. */
export interface Outcome {
  /** The command's own, 128 + n for signal n; 125, 126, 127 as env(1) has them when it was not started. */
  readonly exitCode: number;
  readonly isStarted: boolean;
}

/*
 * SIGINT, SIGQUIT and SIGHUP of the terminal reach the command without us; the launcher knows which did. SIGTSTP is
 * left at its default: it stops us with the command.
 */
const PASSED = ['SIGHUP', 'SIGINT', 'SIGQUIT', 'SIGTERM', 'SIGUSR1', 'SIGUSR2', 'SIGCONT'] as const;

const REPORT_FD = 3;
const MAX_REPORT = 64 << 10;

/**
 * Runs a command confined, with our terminal, streams and working directory, and passes signals on until it ends.
 * @param launcher path of l7egg-confine
 * @param remark called with a sentence for each thing that this kernel can't hold
 * Rejects with UnsupportedError or SystemError when the launcher can't be started. What the command left in the
 * cgroup still runs then: `OwnCgroup.end` kills it.
 */
export function runConfined(
  launcher: string,
  confinement: Confinement,
  remark: (sentence: string) => void,
): Promise<Outcome> {
  const scope = new Scope();
  const notYetStarted: number[] = [];
  let pass = (signal: number): void => void notYetStarted.push(signal);
  // Before the start: a signal that comes in between is the command's, too.
  for (const signal of PASSED) {
    const listener = () => pass(constants.signals[signal]);
    process.on(signal, listener);
    scope.defer(() => process.off(signal, listener));
  }
  // Node makes a pipe non-blocking at its first use, for the command as well; spawn takes that back, so it goes last.
  void [process.stdout, process.stderr];
  const child = spawn(launcher, argumentsOf(confinement), {
    env: confinement.env,
    stdio: ['inherit', 'inherit', 'inherit', 'pipe'],
  });
  const channel = child.stdio[REPORT_FD];
  if (!(channel instanceof Duplex)) throw new Error('spawn did not make the report channel');
  channel.on('error', () => {}); // EPIPE: it has ended, which its exit tells
  pass = (signal) => void channel.write(Uint8Array.of(signal));
  notYetStarted.forEach(pass);
  return outcomeOf(launcher, child, channel, remark).finally(() => scope.close());
}

function argumentsOf(confinement: Confinement): string[] {
  const { caller, landlockAbi } = confinement;
  const openFiles = parseSoftOpenFiles(readFileSync(`/proc/${process.ppid}/limits`, 'latin1'));
  return [
    `--report-fd=${REPORT_FD}`,
    `--cgroup-procs=${confinement.cgroupProcs}`,
    `--uid=${caller.uid}`,
    `--gid=${caller.gid}`,
    `--groups=${caller.groups.join(',')}`,
    ...(openFiles === undefined ? [] : [`--open-files=${openFiles}`]),
    ...(landlockAbi === undefined ? [] : [`--landlock-abi=${landlockAbi}`]),
    ...confinement.doors.map(({ change, path }) => `--${change}=${path}`),
    '--',
    ...confinement.command,
  ];
}

/**
 * The soft limit of open files in the text of /proc/PID/limits; undefined when there is none.
 * Node raises its own to the hard limit, so what the command is to have is the one of our parent.
 */
export function parseSoftOpenFiles(limits: string): number | undefined {
  const soft = /^Max open files +(\d+) /mu.exec(limits)?.[1];
  return soft === undefined ? undefined : Number(soft);
}

function outcomeOf(
  launcher: string,
  child: ChildProcess,
  channel: Duplex,
  remark: (sentence: string) => void,
): Promise<Outcome> {
  let report = '';
  channel.setEncoding('utf8');
  channel.on('data', (chunk: string) => {
    report = `${report}${chunk}`.slice(0, MAX_REPORT);
  });
  return new Promise((resolve, reject) => {
    child.once('error', (failure: NodeJS.ErrnoException) => reject(startFailure(launcher, failure)));
    child.once('close', (code, signal) => {
      const lines = report.split('\n');
      for (const line of lines) if (line.startsWith('remark ')) remark(line.slice('remark '.length));
      resolve({
        exitCode: code ?? 128 + (signal === null ? 0 : constants.signals[signal]),
        isStarted: !lines.includes('failed'),
      });
    });
  });
}

function startFailure(launcher: string, failure: NodeJS.ErrnoException): Error {
  if (failure.code === 'ENOENT') {
    return new UnsupportedError(`Cannot find "${launcher}": it is not built, run \`make\` in the checkout`);
  }
  return new SystemError(`start "${launcher}"`, failure.code ?? 'unknown', { cause: failure });
}
