import { chmodSync, rmSync } from 'node:fs';
import { constants } from 'node:os';
import { checkedErrno } from './errno.ts';
import { Fd } from './fd.ts';
import { Readiness } from './readiness.ts';
import { lastErrno, libc } from './symbols.ts';

const AF_UNIX = 1;
const SOCK_STREAM_CLOEXEC_NONBLOCK = 1 | 0o2000000 | 0o4000;
const SOCK_CLOEXEC = 0o2000000;
/** Connections that wait to be accepted: past it, or past net.core.somaxconn, node's clients fail with EAGAIN. */
const BACKLOG = 4_096;
const ACCEPTED_PER_TURN = 64;
const { EINTR, ECONNABORTED } = constants.errno;

/**
 * Owns a listening unix stream socket and its file. `node:net` would cost every process 2 MB that waits for a
 * connection which may never come.
 */
export class UnixListener implements Disposable {
  readonly #path: string;
  readonly #fd: Fd;
  readonly #onConnection: (fd: number) => void;
  #readiness: Readiness | undefined;

  /** Use `listenUnix`. Takes ownership of `fd`. */
  constructor(path: string, fd: Fd, onConnection: (fd: number) => void) {
    this.#path = path;
    this.#fd = fd;
    this.#onConnection = onConnection;
    this.#readiness = new Readiness(fd.number, () => this.#accept());
  }

  /** Takes no more connections and removes the file. Idempotent. */
  close(): void {
    if (!this.#readiness) return;
    this.#readiness.close();
    this.#readiness = undefined;
    rmSync(this.#path, { force: true });
    this.#fd.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  #accept(): void {
    for (let i = 0; i < ACCEPTED_PER_TURN && this.#readiness; i++) {
      const fd = libc.accept4(this.#fd.number, null, null, SOCK_CLOEXEC);
      if (fd >= 0) {
        this.#onConnection(fd);
        continue;
      }
      const errno = lastErrno();
      if (errno === EINTR || errno === ECONNABORTED) continue;
      // Of EMFILE and the like, too: whoever calls waits, and the next turn tries again.
      return;
    }
  }
}

/**
 * Listens at `path`, whose file has `mode` before anybody can connect; what was there before is removed. The handler
 * owns the descriptors that it gets. Throws SystemError.
 */
export function listenUnix(path: string, mode: number, onConnection: (fd: number) => void): UnixListener {
  // struct sockaddr_un, NUL-terminated
  const name = Buffer.from(`${path}\0`);
  const address = Buffer.alloc(2 + name.length);
  address.writeUInt16LE(AF_UNIX);
  name.copy(address, 2);
  const operation = `listen at "${path}"`;
  const fd = new Fd(checkedErrno(libc.socket(AF_UNIX, SOCK_STREAM_CLOEXEC_NONBLOCK, 0), operation));
  try {
    rmSync(path, { force: true });
    checkedErrno(libc.bind(fd.number, address, address.length), operation);
    chmodSync(path, mode);
    checkedErrno(libc.listen(fd.number, BACKLOG), operation);
    return new UnixListener(path, fd, onConnection);
  } catch (thrown) {
    fd.close();
    throw thrown;
  }
}
