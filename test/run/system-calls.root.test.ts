import assert from 'node:assert/strict';
import { after, describe, test } from 'node:test';
import { type Argv, runCommand } from '../lab/command.ts';
import { Bench, confinedArgv, PLAIN, ROOT, runInside, runOutside, said } from './confined.ts';

const bench = new Bench();
after(() => bench[Symbol.dispose]());

type Row = readonly [what: string, uid: number, attempt: string, outside: string, inside: string];

const AF = { unix: 1, inet: 2, inet6: 10, netlink: 16, packet: 17, vsock: 40, xdp: 44 };

const SOCKETS: readonly Row[] = [
  ['packet socket', ROOT, `socket ${AF.packet} 3 0`, 'ok', 'EAFNOSUPPORT'],
  ['packet socket of a datagram kind', ROOT, `socket ${AF.packet} 2 0`, 'ok', 'EAFNOSUPPORT'],
  ['xdp socket', ROOT, `socket ${AF.xdp} 3 0`, 'ok', 'EAFNOSUPPORT'],
  ['vsock socket', PLAIN, `socket ${AF.vsock} 1 0`, 'ok', 'EAFNOSUPPORT'],
  ['raw IPv4 socket', ROOT, `socket ${AF.inet} 3 1`, 'ok', 'EPERM'],
  ['raw IPv6 socket', ROOT, `socket ${AF.inet6} 3 58`, 'ok', 'EPERM'],
  ['TCP socket', PLAIN, `socket ${AF.inet} 1 0`, 'ok', 'ok'],
  ['UDP socket over IPv6', PLAIN, `socket ${AF.inet6} 2 0`, 'ok', 'ok'],
  ['netlink socket', PLAIN, `socket ${AF.netlink} 3 0`, 'ok', 'ok'],
  ['unix socket', PLAIN, `socket ${AF.unix} 1 0`, 'ok', 'ok'],
  ['pair of unix sockets', PLAIN, `socketpair ${AF.unix} 1`, 'ok', 'ok'],
];

const CALLS: readonly Row[] = [
  ['io_uring', PLAIN, 'io_uring', 'ok', 'ENOSYS'],
  ['bpf', ROOT, 'bpf', 'ok', 'EPERM'],
  ['file by its handle', ROOT, 'open_handle /etc/passwd', 'ok', 'EPERM'],
  // ENOENT: the kernel did try to start /sbin/request-key.
  ['key that a program of the host is to find', PLAIN, 'request_key callout', 'ENOENT', 'EPERM'],
  ['key that is there or not', PLAIN, 'request_key', 'ENOKEY', 'ENOKEY'],
  ['user namespace of root by unshare', ROOT, 'unshare_user', 'ok', 'EPERM'],
  ['user namespace of root by clone', ROOT, 'clone_user', 'ok', 'EPERM'],
  ['user namespace of root by clone3', ROOT, 'clone3_user', 'ok', 'ENOSYS'],
  ['user namespace of a plain user', PLAIN, 'unshare_user', 'ok', 'ok'],
];

/* The same by the numbers of 32-bit programs, and by those of x32, which this kernel may not have at all. */
const COMPAT: readonly Row[] = [
  ['packet socket of a 32-bit program', ROOT, `compat_socket ${AF.packet} 3`, 'ok', 'EAFNOSUPPORT'],
  ['packet socket by socketcall', ROOT, `compat_socketcall ${AF.packet} 3`, 'ok', 'ENOSYS'],
  ['TCP socket of a 32-bit program', PLAIN, `compat_socket ${AF.inet} 1`, 'ok', 'ok'],
  ['TCP socket of x32', PLAIN, `x32_socket ${AF.inet} 1`, 'ENOSYS', 'ENOSYS'],
];

const rows = [...SOCKETS, ...CALLS, ...(process.arch === 'x64' ? COMPAT : [])];
for (const [what, uid, attempt, outside, inside] of rows) {
  describe(`${what}, as ${uid === ROOT ? 'root' : 'a plain user'}`, () => {
    const [program, options] = [[bench.probe, ...attempt.split(' ')] as const, { uid }];
    test(`outside: ${outside}`, () => assert.equal(said(runOutside(program, options)), outside));
    test(`inside: ${inside}`, () => assert.equal(said(runInside(program, options)), inside));
  });
}

describe("on the caller's terminal", () => {
  const terminalRows: readonly (readonly [attempt: string, outside: string, inside: string])[] = [
    ['terminal_input', 'ok', 'EPERM'],
    ['terminal_input_high_bits', 'ok', 'EPERM'],
    ['terminal_paste', 'ENOTTY', 'EPERM'],
    ['terminal_size', 'ok', 'ok'],
  ];
  for (const [attempt, outside, inside] of terminalRows) {
    test(`${attempt} is ${outside} outside and ${inside} inside`, () => {
      assert.equal(onTerminal([bench.probe, attempt]), outside);
      assert.equal(onTerminal(confinedArgv([bench.probe, attempt])), inside);
    });
  }
});

/* What a probe prints on a new terminal, apart from the echo of what it put in. */
function onTerminal(argv: Argv): string {
  const words = argv.map((word) => `'${word}'`).join(' ');
  const { stdout } = runCommand(['script', '--quiet', '--return', '--command', words, '/dev/null']);
  return /(?:ok|E[A-Z]+)\r?$/mu.exec(stdout)?.[0].trim() ?? stdout;
}
