/** Tests that are run again with more rounds than in `make test`. */
export interface Campaign {
  readonly name: string;
  /** Built test files, below build/. */
  readonly files: readonly string[];
  /** What replays it, besides the seed. */
  readonly settings: { readonly [variable: string]: string };
  /** Campaigns of one lane run one after the other; `alone`: behind all others. */
  readonly lane: 'bytes' | 'host' | 'alone';
}

const bpf = (name: string) => `test/bpf/${name}.root.test.js`;
const pure = (name: string) => `test/fuzz/${name}.test.js`;
const netns = (name: string) => `test/netns/${name}.root.test.js`;
const rounds = (count: number) => ({ L7EGG_FUZZ: `${count}` });

/** All of `make test-long`, as issue 5 has the numbers. */
export const CAMPAIGNS: readonly Campaign[] = [
  { name: 'dns', files: [bpf('dns-fuzz')], settings: rounds(10_000_000), lane: 'bytes' },
  { name: 'packets', files: [bpf('packet-fuzz')], settings: rounds(10_000_000), lane: 'bytes' },
  { name: 'rules', files: [bpf('rules-model')], settings: rounds(100_000), lane: 'bytes' },
  { name: 'lookups', files: [bpf('query-fuzz')], settings: rounds(1_000_000), lane: 'bytes' },
  { name: 'files', files: [pure('policy-files')], settings: rounds(20_000), lane: 'bytes' },
  { name: 'flags', files: [pure('flags')], settings: rounds(300_000), lane: 'bytes' },
  { name: 'control', files: [pure('control-socket')], settings: rounds(60_000), lane: 'bytes' },
  { name: 'instants', files: [netns('fault-instants')], settings: rounds(1_000), lane: 'host' },
  { name: 'reloads', files: [netns('reload-load')], settings: rounds(200), lane: 'host' },
  { name: 'soak', files: [netns('soak')], settings: { L7EGG_SOAK_SECONDS: '600' }, lane: 'alone' },
];
