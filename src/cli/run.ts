import { appendFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { Enforcer } from '../enforcer/enforcer.ts';
import { PolicyReader } from '../enforcer/policy-source.ts';
import { startEnforcer } from '../enforcer/start.ts';
import { sweepRuns } from '../enforcer/sweep.ts';
import { UsageError } from '../errors.ts';
import type { SubjectPolicy } from '../policy/policy.ts';
import { callersEnvironment, findCaller } from '../run/caller.ts';
import { runConfined } from '../run/confine.ts';
import { doorsOf } from '../run/doors.ts';
import { OwnCgroup } from '../run/own-cgroup.ts';
import { BlockedTargets } from './blocked.ts';
import type { RunOptions } from './options.ts';
import { renderBlocked, renderBlockedMarkdown } from './run-summary.ts';

/** The launcher lies beside the bundle. */
const LAUNCHER = fileURLToPath(new URL('l7egg-confine', import.meta.url));

const FAILED_AFTER_START = 125;
const BLOCKED = 10;
const SIGNALS = { SIGHUP: 1, SIGINT: 2, SIGTERM: 15 } as const;

/**
 * Runs one command with its own cgroup, policy and view of the host, and answers its exit code: 128 + n for signal n,
 * 125 when we failed, 126 and 127 when the command could not be started, 10 for 0 with -fail-on-blocked when anything
 * was blocked. Throws what the start throws; then the command was not started.
 */
export async function runCommand(options: RunOptions): Promise<number> {
  const say = (text: string) => process.stderr.write(`l7egg-cli: run: ${text}\n`);
  const early = signalsSoFar();
  for (const text of options.remarks) say(text);
  sweepRuns();
  const cgroup = OwnCgroup.create(options.instance);
  try {
    const enforcer = await startFor(options, cgroup, say);
    const blocked = new BlockedTargets();
    try {
      enforcer.begin((event) => {
        blocked.take(event);
        return true;
      });
      const signal = early.end();
      const exitCode = signal === undefined ? await confine(options, cgroup, say) : 128 + SIGNALS[signal];
      await cgroup.end();
      enforcer.drain();
      return conclude(options, blocked, exitCode);
    } finally {
      await cgroup.end(); // before its policy goes
      enforcer.stop();
    }
  } finally {
    early.end();
    await cgroup.end();
  }
}

async function startFor(
  options: RunOptions,
  cgroup: OwnCgroup,
  say: (text: string) => void,
): Promise<Enforcer> {
  const { source } = options;
  const line = { ...source.line, subjects: [{ kind: 'cgroup' as const, path: cgroup.path }] };
  const loaded = await new PolicyReader({ ...source, line }).load();
  for (const text of loaded.remarks) say(text);
  refuseOthers(loaded.policies, cgroup);
  return await startEnforcer(
    {
      instance: options.instance,
      learning: [],
      enforced: [],
      policies: loaded.policies,
      resolvers: options.resolvers,
      wait: false,
      force: true, // who starts us is not in the cgroup
    },
    { remark: say },
  );
}

function refuseOthers(policies: readonly SubjectPolicy[], cgroup: OwnCgroup): void {
  if (policies.length === 0)
    throw new UsageError('nothing would be controlled: no policy that was given restricts egress');
  const isOwn = ({ subject }: SubjectPolicy) => subject.kind === 'cgroup' && subject.path === cgroup.path;
  if (policies.every(isOwn)) return;
  throw new UsageError('a policy file names a subject: for run it is the command, so leave "subject" out');
}

async function confine(options: RunOptions, cgroup: OwnCgroup, say: (text: string) => void): Promise<number> {
  const caller = findCaller(process.env);
  try {
    const { exitCode } = await runConfined(
      LAUNCHER,
      {
        command: options.argv,
        env: callersEnvironment(caller, process.env),
        caller,
        doors: doorsOf(caller, process.env),
        cgroupProcs: cgroup.procsFile,
      },
      say,
    );
    return exitCode;
  } catch (thrown) {
    say(thrown instanceof Error ? thrown.message : String(thrown));
    return FAILED_AFTER_START;
  }
}

function conclude(options: RunOptions, blocked: BlockedTargets, exitCode: number): number {
  for (const line of renderBlocked(blocked)) process.stderr.write(`l7egg-cli: run: ${line}\n`);
  const final = exitCode === 0 && options.failOnBlocked && !blocked.isEmpty ? BLOCKED : exitCode;
  if (options.summaryMd === undefined) return final;
  const [program = ''] = options.argv;
  try {
    appendFileSync(options.summaryMd, renderBlockedMarkdown(blocked, program, final));
  } catch (thrown) {
    const why = thrown instanceof Error ? thrown.message : String(thrown);
    process.stderr.write(`l7egg-cli: run: Cannot write the summary: ${why}\n`);
    return final === 0 ? FAILED_AFTER_START : final;
  }
  return final;
}

/* A signal that comes before the command is there is not lost: the command is not started then. */
function signalsSoFar(): { end: () => keyof typeof SIGNALS | undefined } {
  let seen: keyof typeof SIGNALS | undefined;
  const names = ['SIGHUP', 'SIGINT', 'SIGTERM'] as const;
  const listeners = names.map((name) => {
    const listener = () => {
      seen ??= name;
    };
    process.on(name, listener);
    return [name, listener] as const;
  });
  return {
    end: () => {
      for (const [name, listener] of listeners) process.off(name, listener);
      return seen;
    },
  };
}
