import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { after, before, describe, test } from 'node:test';
import { TaskHold } from '../../src/containers/task-hold.ts';
import { until } from '../lab/wait.ts';

const LIMIT_MS = 5_000;

/* A shell that calls itself as runc's waiting process does. */
describe('TaskHold', () => {
  const child = spawn('sh', ['-c', 'printf "runc:[2:INIT]" >/proc/$$/comm; echo named; read -r line; :'], {
    stdio: ['pipe', 'pipe', 'ignore'],
  });
  const pid = child.pid ?? 0;
  before(() => once(child.stdout, 'data'));
  after(() => child.kill('SIGKILL'));

  function stateOf(): string {
    return readFileSync(`/proc/${pid}/stat`, 'latin1').split(') ')[1]?.slice(0, 1) ?? '';
  }

  test('stops a process that waits to become a program, and lets it go on', async () => {
    const hold = new TaskHold(pid);
    assert.equal(await hold.isCertain(), true);
    assert.equal(stateOf(), 'T');
    hold.close();
    hold.close();
    await until(() => stateOf() === 'S', { limitMs: LIMIT_MS, what: 'the end of the hold' });
  });

  test('lets go what one that was killed had stopped', async () => {
    process.kill(pid, 'SIGSTOP');
    await until(() => stateOf() === 'T', { limitMs: LIMIT_MS, what: 'the stop' });
    const hold = new TaskHold(pid);
    assert.equal(await hold.isCertain(), true);
    hold.close();
    await until(() => stateOf() === 'S', { limitMs: LIMIT_MS, what: 'the end of the hold' });
  });

  test('leaves a program that runs alone, and is not certain', async () => {
    using hold = new TaskHold(process.pid);
    assert.equal(await hold.isCertain(), false);
  });

  test('is not certain of a process that is gone', async () => {
    const ended = spawn('true');
    await once(ended, 'exit');
    using hold = new TaskHold(ended.pid ?? 0);
    assert.equal(await hold.isCertain(), false);
  });
});
