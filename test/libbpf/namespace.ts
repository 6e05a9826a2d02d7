import { execFileSync } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { after } from 'node:test';
import { enterNetns } from '../../src/libbpf/setns.ts';

/** Makes a network namespace with `lo` up, moves the process of this test file into it; gone after the tests. */
export function enterScratchNetns(): string {
  const name = `l7egg-test-${process.pid}`;
  execFileSync('ip', ['netns', 'add', name]);
  after(() => {
    execFileSync('ip', ['netns', 'delete', name]);
  });
  enterNetns(`/run/netns/${name}`);
  ip('link set lo up');
  return name;
}

/** Runs ip(8) in the network namespace of the test. */
export function ip(words: string): void {
  execFileSync('ip', words.split(' '), { stdio: ['ignore', 'ignore', 'inherit'] });
}

/** Sends one datagram over `lo`, to itself so that no ICMP error follows; its egress programs have run when it settles. */
export async function sendOnLoopback(): Promise<void> {
  const socket = createSocket('udp4');
  try {
    await new Promise<void>((resolve) => socket.bind(0, '127.0.0.1', resolve));
    await new Promise<void>((resolve, reject) => {
      socket.send('x', socket.address().port, '127.0.0.1', (failure) =>
        failure ? reject(failure) : resolve(),
      );
    });
  } finally {
    socket.close();
  }
}
