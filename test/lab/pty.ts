import { type ChildProcessByStdio, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import type { Readable, Writable } from 'node:stream';
import headless from '@xterm/headless';
import { type Argv, cleanEnvironment } from './command.ts';
import { until } from './wait.ts';

/*
 * Runs argv on a new terminal. Lines of JSON on stdin are keys or a size; what the terminal gets comes out as
 * lines of base64, the mode of the terminal in between on request, and the exit code at the end.
 */
const RELAY = `
import base64, fcntl, json, os, pty, select, struct, sys, termios
def size(fd, columns, rows):
    fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack('HHHH', rows, columns, 0, 0))
columns, rows, argv = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3:]
pid, fd = pty.fork()
if pid == 0:
    size(0, columns, rows)
    os.execvp(argv[0], argv)
def say(word, value):
    sys.stdout.write(word + ' ' + str(value) + '\\n')
    sys.stdout.flush()
say('pid', pid)
rest = b''
while True:
    ready = select.select([fd, 0], [], [])[0]
    if fd in ready:
        try:
            read = os.read(fd, 65536)
        except OSError:
            read = b''
        if not read:
            break
        say('out', base64.b64encode(read).decode())
    if 0 in ready:
        got = os.read(0, 65536)
        if not got:
            os.kill(pid, 9)
        rest += got
        *lines, rest = rest.split(b'\\n')
        for line in lines:
            order = json.loads(line)
            if 'keys' in order:
                os.write(fd, order['keys'].encode())
            if 'size' in order:
                size(fd, *order['size'])
            if 'mode' in order:
                flags = termios.tcgetattr(fd)[3]
                say('mode', 'cooked' if flags & termios.ICANON and flags & termios.ECHO else 'raw')
say('exit', os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
`;

/** What one write to the terminal was, and when it came. */
export interface Output {
  readonly text: string;
  readonly atMs: number;
}

const LIMIT_MS = 15_000;

/** A program on a terminal of its own, which is an emulator: what it shows can be read as a person would. */
export class Pty implements Disposable {
  readonly #relay: ChildProcessByStdio<Writable, Readable, null>;
  readonly #terminal: headless.Terminal;
  readonly #outputs: Output[] = [];
  readonly exited: Promise<number>;
  #mode: string | undefined;
  #pid = 0;

  constructor(argv: Argv, columns: number, rows: number, env: Readonly<Record<string, string>> = {}) {
    this.#terminal = new headless.Terminal({ cols: columns, rows, allowProposedApi: true });
    this.#relay = spawn('python3', ['-c', RELAY, `${columns}`, `${rows}`, ...argv], {
      env: cleanEnvironment({ TERM: 'xterm-256color', ...env }),
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    this.#relay.stdin.on('error', () => {}); // it has ended
    this.exited = new Promise((resolve) => {
      createInterface({ input: this.#relay.stdout }).on('line', (line) => {
        const [word, value = ''] = line.split(' ');
        if (word === 'out') this.#take(Buffer.from(value, 'base64'));
        if (word === 'mode') this.#mode = value;
        if (word === 'pid') this.#pid = Number(value);
        if (word === 'exit') this.#terminal.write('', () => resolve(Number(value)));
      });
    });
  }

  /** Of the program. */
  get pid(): number {
    return this.#pid;
  }

  /** The lines of the screen, as they are seen. */
  lines(): string[] {
    const { active } = this.#terminal.buffer;
    return Array.from(
      { length: this.#terminal.rows },
      (_, row) => active.getLine(active.viewportY + row)?.translateToString(true) ?? '',
    );
  }

  /** All of them. */
  text(): string {
    return this.lines().join('\n');
  }

  /** The emulator, for colours. */
  get terminal(): headless.Terminal {
    return this.#terminal;
  }

  /** Whether the program has the screen that programs share with no shell. */
  get isAlternate(): boolean {
    return this.#terminal.buffer.active.type === 'alternate';
  }

  /** What was written so far, in order. */
  get outputs(): readonly Output[] {
    return this.#outputs;
  }

  /** Resolves once `pattern` is found on the screen. Rejects with the screen. */
  async waitFor(pattern: RegExp, limitMs = LIMIT_MS): Promise<string> {
    try {
      await until(() => pattern.test(this.text()), { limitMs, what: `${pattern}` });
    } catch (cause) {
      throw new Error(`Cannot find ${pattern} on the screen:\n${this.text()}`, { cause });
    }
    return this.text();
  }

  /** Types. */
  press(keys: string): void {
    this.#order({ keys });
  }

  resize(columns: number, rows: number): void {
    this.#terminal.resize(columns, rows);
    this.#order({ size: [columns, rows] });
  }

  /** Whether the terminal gives whole lines and shows what is typed, as a shell's does: `cooked`, else `raw`. */
  async mode(): Promise<string> {
    this.#mode = undefined;
    this.#order({ mode: true });
    return until(() => this.#mode, { limitMs: LIMIT_MS, what: 'the mode of the terminal' });
  }

  [Symbol.dispose](): void {
    this.#relay.kill('SIGKILL'); // its terminal goes, and the program with it
    this.#terminal.dispose();
  }

  #order(order: object): void {
    this.#relay.stdin.write(`${JSON.stringify(order)}\n`);
  }

  #take(bytes: Buffer): void {
    this.#outputs.push({ text: bytes.toString(), atMs: performance.now() });
    this.#terminal.write(bytes);
  }
}
