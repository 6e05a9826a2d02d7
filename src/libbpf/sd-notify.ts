import { Fd } from './fd.ts';
import { libc } from './symbols.ts';

const AF_UNIX = 1;
const SOCK_DGRAM_CLOEXEC = 0o2000002;
const MSG_NOSIGNAL = 0x4000;

/**
 * Tells systemd how the service stands, such as `READY=1`, by sd_notify(3); answers whether it was told.
 * False where no service manager asked to be.
 */
export function notifySystemd(state: string): boolean {
  const path = process.env.NOTIFY_SOCKET;
  if (!path) return false;
  // struct sockaddr_un; a leading @ stands for the NUL of an abstract name.
  const name = Buffer.from(path.startsWith('@') ? `\0${path.slice(1)}` : path);
  const address = Buffer.alloc(2 + name.length);
  address.writeUInt16LE(AF_UNIX);
  name.copy(address, 2);
  using socket = new Fd(libc.socket(AF_UNIX, SOCK_DGRAM_CLOEXEC, 0));
  const bytes = Buffer.from(state);
  return (
    libc.sendto(socket.number, bytes, bytes.length, MSG_NOSIGNAL, address, address.length) === bytes.length
  );
}
