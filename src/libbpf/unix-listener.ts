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
const { EINTR, ECONNABORTED, EAGAIN } = constants.errno;
/** How long nothing is accepted when there is no room for one more: the descriptor stays readable all the while. */
const NO_ROOM_MS = 100;

/**
 * Owns a listening unix stream socket and its file. `node:net` would cost every process 2 MB that waits for a
 * connection which may never come.
 */
export class UnixListener implements Disposable {
  readonly #path: string;
  readonly #fd: Fd;
  readonly #onConnection: (fd: number) => void;
  #readiness: Readiness | undefined;
  #pause: NodeJS.Timeout | undefined;
  #isClosed = false;

  /** Use `listenUnix`. Takes ownership of `fd`. */
  constructor(path: string, fd: Fd, onConnection: (fd: number) => void) {
    this.#path = path;
    this.#fd = fd;
    this.#onConnection = onConnection;
    this.#watch();
  }

  /** Takes no more connections and removes the file. Idempotent. */
  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#unwatch();
    rmSync(this.#path, { force: true });
    this.#fd.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  #watch(): void {
    this.#readiness = new Readiness(this.#fd.number, () => this.#accept());
  }

  #unwatch(): void {
    clearTimeout(this.#pause);
    this.#readiness?.close();
    this.#readiness = undefined;
  }

  #accept(): void {
    for (let i = 0; i < ACCEPTED_PER_TURN && !this.#isClosed; i++) {
      const fd = libc.accept4(this.#fd.number, null, null, SOCK_CLOEXEC);
      if (fd >= 0) {
        this.#onConnection(fd);
        continue;
      }
      const errno = lastErrno();
      if (errno === EINTR || errno === ECONNABORTED) continue;
      if (errno === EAGAIN) return;
      // EMFILE and the like: whoever calls waits.
      this.#unwatch();
      this.#pause = setTimeout(() => this.#watch(), NO_ROOM_MS);
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
