import { closeSync, openSync, writeSync } from 'node:fs';
import { constants } from 'node:os';
import { fileURLToPath } from 'node:url';
import type { Enforcer } from '../enforcer/enforcer.ts';
import { type LoadedPolicies, PolicyReader } from '../enforcer/policy-source.ts';
import { formatResolver } from '../enforcer/resolvers.ts';
import { startEnforcer } from '../enforcer/start.ts';
import { sweepRuns } from '../enforcer/sweep.ts';
import { messageLines, UsageError } from '../errors.ts';
import { escapeControl } from '../flow/escape.ts';
import type { SubjectPolicy } from '../policy/policy.ts';
import { type Caller, callersEnvironment, findCaller } from '../run/caller.ts';
import { type Outcome, runConfined } from '../run/confine.ts';
import { doorsOf } from '../run/doors.ts';
import { OwnCgroup } from '../run/own-cgroup.ts';
import { BlockedTargets } from './blocked.ts';
import { holdSignals } from './held-signals.ts';
import type { RunOptions } from './options.ts';
import { showProgress } from './progress.ts';
import { RemarkWriter } from './remarks.ts';
import { renderBlocked, renderBlockedMarkdown } from './run-summary.ts';

/** The launcher lies beside the bundle. */
const LAUNCHER = fileURLToPath(new URL('l7egg-confine', import.meta.url));

/** Of the command's own lines ours are told by their title. */
const { remark: say } = new RemarkWriter({ title: 'l7egg-cli: run: ' });

const UNSUPPORTED = 3;
const BLOCKED = 10;
const FAILED_AFTER_START = 125;

/** What goes on while the command runs. */
interface Running {
  readonly enforcer: Enforcer;
  readonly blocked: BlockedTargets;
}

/**
 * Runs one command with its own cgroup, policy and view of the host, and answers its exit code: 128 + n for signal n,
 * 126 and 127 when the command could not be started, 10 for 0 with -fail-on-blocked when anything was blocked, 3 when
 * it could not be confined, and was not started. 125: we failed after it was. Throws what the start throws; then the
 * command was not started. Nothing of the run is left in any of these cases.
 */
export async function runCommand(options: RunOptions): Promise<number> {
  const signals = holdSignals();
  for (const text of options.remarks) say(text, 'warning');
  const caller = findCaller(process.env);
  const summary = openSummary(options.summaryMd);
  await sweepRuns();
  const cgroup = OwnCgroup.create(options.instance);
  let running: Running | undefined;
  let outcome: Outcome;
  try {
    running = await begin(options, cgroup);
    // In one turn with the start: a signal that comes later finds who passes it on.
    if (signals.first === undefined) {
      outcome = await confine(options, cgroup, caller);
    } else {
      say(`ended by ${signals.first}: the command was not started`, 'notice');
      outcome = { exitCode: 128 + constants.signals[signals.first], isStarted: false };
    }
  } catch (thrown) {
    await end(cgroup, running);
    throw thrown;
  }
  try {
    await end(cgroup, running);
    return conclude(options, running.blocked, outcome, summary);
  } catch (thrown) {
    if (!outcome.isStarted) throw thrown;
    say(messageLines(thrown), 'error');
    return FAILED_AFTER_START;
  }
}

async function begin(options: RunOptions, cgroup: OwnCgroup): Promise<Running> {
  const { source } = options;
  const line = { ...source.line, subjects: [{ kind: 'cgroup' as const, path: cgroup.path }] };
  const loaded = await new PolicyReader({ ...source, line }).load(showProgress());
  for (const text of loaded.remarks) say(text, 'warning');
  const { policy } = onlyPolicy(loaded, cgroup);
  const enforcer = await startEnforcer(
    {
      instance: options.instance,
      learning: [],
      enforced: [],
      policies: loaded.policies,
      resolvers: options.resolvers,
      wait: false,
      force: false,
      ownCgroup: cgroup.path,
    },
    { remark: say, told: say },
  );
  const resolvers = enforcer.inForce.resolvers.map(formatResolver);
  const blocked = new BlockedTargets({ rules: policy.rules, dns: policy.dns, resolvers });
  enforcer.feed.subscribe({
    take: (event) => {
      blocked.take(event);
      return true;
    },
  });
  enforcer.begin();
  enforcer.tell('enforcing', `enforcing on ${cgroup.path}`);
  return { enforcer, blocked };
}

function onlyPolicy({ policies }: LoadedPolicies, cgroup: OwnCgroup): SubjectPolicy {
  const [first] = policies;
  if (!first) throw new UsageError('nothing would be controlled: no policy that was given restricts egress');
  const isOwn = ({ subject }: SubjectPolicy) => subject.kind === 'cgroup' && subject.path === cgroup.path;
  if (policies.every(isOwn)) return first;
  throw new UsageError('a policy file names a subject: for run it is the command, so leave "subject" out');
}

function confine(options: RunOptions, cgroup: OwnCgroup, caller: Caller): Promise<Outcome> {
  return runConfined(
    LAUNCHER,
    {
      command: options.argv,
      env: callersEnvironment(caller, process.env),
      caller,
      doors: doorsOf(caller, process.env),
      cgroupProcs: cgroup.procsFile,
    },
    (sentence) => say(sentence, 'warning'),
  );
}

/* The cgroup ends before its policy goes. Where it can't be ended, the policy stays in force on what is in it. */
async function end(cgroup: OwnCgroup, running: Running | undefined): Promise<void> {
  let left: readonly string[];
  try {
    left = await cgroup.end();
  } catch (thrown) {
    running?.enforcer.leave();
    throw thrown;
  }
  if (left.length > 0)
    say(`ended what the command left running: ${left.map(escapeControl).join(', ')}`, 'notice');
  running?.enforcer.drainAll();
  running?.enforcer.stop();
}

/* Before the command runs: a file that can't be written is told now, and one that it puts there is not written to. */
function openSummary(path: string | undefined): number | undefined {
  if (path === undefined) return undefined;
  try {
    return openSync(path, 'a');
  } catch (thrown) {
    const why = thrown instanceof Error && 'code' in thrown ? thrown.code : thrown;
    throw new UsageError(`-summary-md "${path}" can't be written: ${why}`);
  }
}

function conclude(
  options: RunOptions,
  blocked: BlockedTargets,
  { exitCode, isStarted }: Outcome,
  summary: number | undefined,
): number {
  // As env(1) has it, 125 says that the launcher failed, and why was said; 126 and 127 are the command's.
  if (!isStarted) return exitCode === FAILED_AFTER_START ? UNSUPPORTED : exitCode;
  say(renderBlocked(blocked), 'notice');
  const final = exitCode === 0 && options.failOnBlocked && blocked.hasBlocked ? BLOCKED : exitCode;
  if (summary === undefined) return final;
  const [program] = options.argv;
  try {
    // What is there may end in the middle of a line.
    writeSync(summary, `\n${renderBlockedMarkdown(blocked, program, final)}`);
    closeSync(summary);
  } catch (thrown) {
    say(`Cannot write the summary: ${thrown instanceof Error ? thrown.message : String(thrown)}`, 'error');
    return final === 0 ? FAILED_AFTER_START : final;
  }
  return final;
}
