import { execFileSync } from 'node:child_process';
import { after } from 'node:test';
import { enterNetns } from '../../src/libbpf/setns.ts';

/** Makes a network namespace with `lo` up, moves the process of this test file into it; gone after the tests. */
export function enterScratchNetns(): void {
  const name = `l7egg-test-${process.pid}`;
  execFileSync('ip', ['netns', 'add', name]);
  after(() => {
    execFileSync('ip', ['netns', 'delete', name]);
  });
  enterNetns(`/run/netns/${name}`);
  ip('link set lo up');
}

/** Runs ip(8) in the network namespace of the test. */
export function ip(words: string): void {
  execFileSync('ip', words.split(' '), { stdio: ['ignore', 'ignore', 'inherit'] });
}
