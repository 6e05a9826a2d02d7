import assert from 'node:assert/strict';
import { after, describe, test } from 'node:test';
import { type Argv, runCommand } from '../lab/command.ts';
import { Bench, confinedArgv } from './confined.ts';

const bench = new Bench();
after(() => bench[Symbol.dispose]());

/* Runs argv on a new terminal; at each step waits for a text that is new, then types. Prints all that came. */
const DRIVER = `
import json, os, pty, re, select, sys, time
steps, argv = json.loads(sys.argv[1]), sys.argv[2:]
pid, fd = pty.fork()
if pid == 0:
    os.execvp(argv[0], argv)
seen, at, limit, ended = '', 0, time.time() + 10, False
while time.time() < limit and not ended:
    if steps:
        found = re.compile(steps[0][0]).search(seen, at)
        if found:
            at = found.end()
            os.write(fd, steps.pop(0)[1].encode())
            continue
    if select.select([fd], [], [], 0.1)[0]:
        try:
            read = os.read(fd, 4096).decode()
        except OSError:
            read = ''
        seen, ended = seen + read, not read
if not ended:
    os.kill(pid, 9)
sys.stdout.write(seen.replace(chr(13), ''))
print('steps left: %r' % steps if steps else 'exit %d' % os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
`;

type Step = readonly [waitFor: string, keys: string];

function onTerminal(argv: Argv, steps: readonly Step[]): string {
  const done = runCommand(['/usr/bin/python3', '-c', DRIVER, JSON.stringify(steps), ...argv]);
  assert.equal(done.stderr, '');
  return done.stdout;
}

/*
 * Blocked before it says that it is ready: a shell's trap waits when the signal comes just before its `read` does.
 */
const TAKES_SIGINT = `
import signal, sys
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
print('ready', flush=True)
signal.sigwait([signal.SIGINT])
print('got', flush=True)
sys.stdin.readline()
if signal.sigtimedwait([signal.SIGINT], 0.1):
    print('got', flush=True)
sys.exit(4)
`;
const CTRL_C = '\x03';
const CTRL_Z = '\x1a';

for (const [kernel, landlockAbi] of [
  ['', undefined],
  [' without landlock', 0],
] as const) {
  const options = landlockAbi === undefined ? {} : { landlockAbi };

  describe(`on a terminal${kernel}`, () => {
    test('Ctrl-C reaches the command once', () => {
      const output = onTerminal(confinedArgv(['/usr/bin/python3', '-c', TAKES_SIGINT], options), [
        ['ready', CTRL_C],
        ['got', 'end\n'],
      ]);
      assert.equal(output.match(/^(?:\^C)?got$/gmu)?.length, 1, output);
      assert.match(output, /exit 4\n$/u);
    });

    test('Ctrl-C ends a command that does not take it', () => {
      const output = onTerminal(confinedArgv(['sh', '-c', 'echo ready; exec sleep 100'], options), [
        ['ready', CTRL_C],
      ]);
      assert.match(output, /exit 130\n$/u);
    });

    test('Ctrl-Z stops it as a job of the shell, and fg goes on', () => {
      const words = confinedArgv(['sh', '-c', 'echo rea"dy"; read -r line; echo "line: $line"'], options)
        .map((word) => `'${word}'`)
        .join(' ');
      const output = onTerminal(
        ['bash', '--norc', '--noprofile', '-i'],
        [
          ['[#$] ', `${words}\n`],
          ['ready', CTRL_Z],
          ['Stopped.*\\n.*[#$] ', 'fg\n'],
          ['fg\\s+.*rea', 'typed\n'],
          ['line: typed', ''],
          ['[#$] ', 'exit 6\n'],
        ],
      );
      assert.match(output, /exit 6\n$/u, output);
    });

    test('an interactive shell has jobs of its own', () => {
      const output = onTerminal(confinedArgv(['bash', '--norc', '--noprofile', '-i'], options), [
        ['[#$] ', `sh -c 'echo rea"dy"; read -r line; echo "line: $line"'\n`],
        ['ready', CTRL_Z],
        ['Stopped.*\\n.*[#$] ', 'fg\n'],
        ['fg\\s+.*rea', 'typed\n'],
        ['line: typed', ''],
        ['[#$] ', 'exit 7\n'],
      ]);
      assert.doesNotMatch(output, /no job control|cannot set terminal/u);
      assert.match(output, /exit 7\n$/u, output);
    });
  });
}

test('a command that stops itself is a stopped job of the shell', () => {
  const words = confinedArgv(['sh', '-c', 'echo rea"dy"; kill -STOP $$; echo wo"ke"'])
    .map((word) => `'${word}'`)
    .join(' ');
  const output = onTerminal(
    ['bash', '--norc', '--noprofile', '-i'],
    [
      ['[#$] ', `${words}\n`],
      ['ready', ''],
      ['Stopped.*\\n.*[#$] ', 'fg\n'],
      ['woke', ''],
      ['[#$] ', 'exit 6\n'],
    ],
  );
  assert.match(output, /exit 6\n$/u, output);
});
