import assert from 'node:assert/strict';
import { type ChildProcessByStdio, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import type { Readable, Writable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { MAPPED_BITS } from '../../src/policy/prefix.ts';

/** What dnspython says of a message; `status` is one of the words that dns-oracle.py explains. */
export interface Opinion {
  readonly status: string;
  /** In hex of 16 bytes, IPv4 as ::ffff:a.b.c.d. */
  readonly addresses: ReadonlySet<string>;
}

const SCRIPT = fileURLToPath(new URL('../../../test/bpf/dns-oracle.py', import.meta.url));
/** Debian's, which has the package; another python3 may come first in PATH. */
const PYTHON = '/usr/bin/python3';
const MAPPED = 'ffff'.padStart(MAPPED_BITS / 4, '0');

/** Owns a process of dnspython that reads messages beside this one. */
export class DnsOracle implements Disposable {
  readonly #process: ChildProcessByStdio<Writable, Readable, null>;
  readonly #lines: AsyncIterator<string>;

  constructor() {
    this.#process = spawn(PYTHON, [SCRIPT], { stdio: ['pipe', 'pipe', 'inherit'] });
    this.#lines = createInterface({ input: this.#process.stdout })[Symbol.asyncIterator]();
  }

  /** Opinions in the order of the messages. One call after the other. */
  async ask(messages: readonly Uint8Array[]): Promise<Opinion[]> {
    const parts: Uint8Array[] = [u32(messages.length)];
    for (const message of messages) parts.push(u32(message.length), message);
    this.#process.stdin.write(Buffer.concat(parts));
    const opinions: Opinion[] = [];
    while (opinions.length < messages.length) {
      const { value, done } = await this.#lines.next();
      if (done) assert.fail('dns-oracle.py ended: is python3-dnspython installed?');
      opinions.push(parseOpinion(value));
    }
    return opinions;
  }

  /** Idempotent. */
  close(): void {
    this.#process.stdin.end();
    this.#process.kill();
  }

  [Symbol.dispose](): void {
    this.close();
  }
}

function parseOpinion(line: string): Opinion {
  const [status = '', list = ''] = line.split(' ');
  const addresses = list === '' ? [] : list.split(',');
  return { status, addresses: new Set(addresses.map((hex) => (hex.length === 8 ? MAPPED + hex : hex))) };
}

function u32(number: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(number);
  return bytes;
}
