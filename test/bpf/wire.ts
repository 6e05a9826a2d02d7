import { closeSync, openSync } from 'node:fs';
import { failure } from '../../src/libbpf/errno.ts';
import { readInterface } from '../../src/libbpf/ifindex.ts';
import { lastErrno, libc } from '../../src/libbpf/symbols.ts';

const TUNSETIFF = 0x400454ca;
const IFF_TAP = 2;
const IFF_NO_PI = 0x1000;
const IFNAMSIZ = 16;

let made = 0;

/** A device of this process, which goes with it: a program that is run on bytes runs on lo otherwise. */
export class Wire implements Disposable {
  readonly ifindex: number;
  readonly #fd: number;

  constructor() {
    made += 1;
    const name = `l7b${process.pid}-${made}`;
    const request = Buffer.alloc(40); // struct ifreq
    request.write(name, 'latin1');
    request.writeUInt16LE(IFF_TAP | IFF_NO_PI, IFNAMSIZ);
    this.#fd = openSync('/dev/net/tun', 'r+');
    if (libc.ioctl(this.#fd, TUNSETIFF, request) < 0) throw failure(lastErrno(), 'make a tap device');
    this.ifindex = readInterface(name)?.ifindex ?? 0;
  }

  close(): void {
    closeSync(this.#fd);
  }

  [Symbol.dispose](): void {
    this.close();
  }
}
