import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';

const PRIVILEGES = fileURLToPath(new URL('../../src/libbpf/privileges.js', import.meta.url));
const FILTER = fileURLToPath(new URL('../../src/libbpf/syscall-filter.js', import.meta.url));
const SYMBOLS = fileURLToPath(new URL('../../src/libbpf/symbols.js', import.meta.url));

/** Runs a module that has the functions of privileges.ts at hand; answers what it printed. */
function runModule(body: string): unknown {
  const text = `
    import { spawnSync } from 'node:child_process';
    import { Worker, isMainThread } from 'node:worker_threads';
    import { keepCapabilities, refuseCalls } from '${PRIVILEGES}';
    import { filteredCalls } from '${FILTER}';
    import { lastErrno, libc } from '${SYMBOLS}';
    const mount = () => (libc.mount('none', '/tmp', 'tmpfs', 0x20 | 0x1000, null) < 0 ? lastErrno() : 0);
    ${body}`;
  const { stdout, stderr, status } = spawnSync(process.execPath, ['--input-type=module', '-e', text], {
    encoding: 'utf8',
  });
  assert.equal(status, 0, stderr);
  return JSON.parse(stdout);
}

describe('refuseCalls', () => {
  test('holds in every thread, also in one that ran before', () => {
    const answers = runModule(`
      const worker = new Worker(\`
        import { parentPort } from 'node:worker_threads';
        import { spawnSync } from 'node:child_process';
        parentPort.on('message', () => parentPort.postMessage(spawnSync('true').error?.code ?? 'ran'));
      \`, { eval: true });
      const ask = () => new Promise((resolve) => { worker.once('message', resolve); worker.postMessage(''); });
      const own = () => spawnSync('true').error?.code ?? 'ran';
      const before = [own(), await ask()];
      refuseCalls(filteredCalls());
      console.log(JSON.stringify([...before, own(), await ask()]));
      worker.terminate();`);
    assert.deepEqual(answers, ['ran', 'ran', 'EPERM', 'EPERM']);
  });

  test('takes what is named only', () => {
    const answers = runModule(`
      refuseCalls(['swapon']);
      console.log(JSON.stringify([spawnSync('true').status]));`);
    assert.deepEqual(answers, [0]);
  });
});

test('keepCapabilities takes the others, for good', () => {
  // A bind on a port that is taken for root, by capability 10; EACCES is 13, EPERM 1.
  const answers = runModule(`
    import { createServer } from 'node:net';
    const listen = () => new Promise((resolve) => {
      const server = createServer().once('error', ({ code }) => resolve(code));
      server.listen(899, '127.0.0.1', () => server.close(() => resolve('listens')));
    });
    const before = await listen();
    keepCapabilities([12]);
    const after = await listen();
    keepCapabilities([10, 12]);
    console.log(JSON.stringify([before, after, await listen(), mount()]));`);
  assert.deepEqual(answers, ['listens', 'EACCES', 'EACCES', 1]);
});
