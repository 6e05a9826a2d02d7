import { fileURLToPath } from 'node:url';
import { callersEnvironment, findCaller } from '../../src/run/caller.ts';
import { runConfined } from '../../src/run/confine.ts';
import { doorsOf } from '../../src/run/doors.ts';
import { OwnCgroup } from '../../src/run/own-cgroup.ts';

/*
 * run-command NAME LANDLOCK_ABI COMMAND ARGS…: what `l7egg-cli run` does apart from its programs. Remarks go to
 * stderr. LANDLOCK_ABI "own" is the kernel's.
 */
const LAUNCHER = fileURLToPath(new URL('../../../dist/l7egg-confine', import.meta.url));

const [name = '', abi = 'own', program = '', ...args] = process.argv.slice(2);
const cgroup = OwnCgroup.create(name);
try {
  const caller = findCaller(process.env);
  const env = callersEnvironment(caller, process.env);
  const running = runConfined(
    LAUNCHER,
    {
      command: [program, ...args],
      env,
      caller,
      doors: doorsOf(caller, env),
      cgroupProcs: cgroup.procsFile,
      ...(abi === 'own' ? {} : { landlockAbi: Number(abi) }),
    },
    (sentence) => process.stderr.write(`remark: ${sentence}\n`),
  );
  // As of an enforcer that has something to say while the command runs.
  process.stdout.write('');
  process.stderr.write('');
  const outcome = await running;
  if (!outcome.isStarted) process.stderr.write('not started\n');
  process.exitCode = outcome.exitCode;
} finally {
  await cgroup.end();
}
