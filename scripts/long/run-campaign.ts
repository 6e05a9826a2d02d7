import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createWriteStream } from 'node:fs';
import { join } from 'node:path';
import { judgeTap } from '../vm/parts.ts';
import type { Campaign } from './campaigns.ts';

/** What came of one. */
export interface CampaignResult {
  readonly campaign: Campaign;
  readonly passed: boolean;
  readonly counts: string;
  readonly seconds: number;
  /** What its tests said by `diagnostic`. */
  readonly said: readonly string[];
  /** The last lines of its output. */
  readonly tail: readonly string[];
}

const TAIL_LINES = 25;
/** Of node's own: the version, the names of tests, the summary. */
const NODE_SAYS = /^(Subtest: |(tests|suites|pass|fail|cancelled|skipped|todo|duration_ms) \d)/u;

/** Runs the tests of a campaign to their end, which `signal` brings about at once. `log` gets all output. */
export async function runCampaign(
  campaign: Campaign,
  { checkout, log, seed, signal }: { checkout: string; log: string; seed: number; signal: AbortSignal },
): Promise<CampaignResult> {
  const from = performance.now();
  const file = createWriteStream(log);
  const paths = campaign.files.map((name) => join(checkout, 'build', name));
  // Of the runner that runs us, if one does: what we start is not a part of it.
  const { NODE_TEST_CONTEXT: _, ...own } = process.env;
  const child = spawn(process.execPath, ['--test', '--test-concurrency=1', '--test-reporter=tap', ...paths], {
    cwd: checkout,
    env: { ...own, ...campaign.settings, L7EGG_SEED: `${seed}` },
    stdio: ['ignore', 'pipe', 'pipe'],
    signal,
    killSignal: 'SIGINT',
  });
  child.on('error', () => {}); // ended by `signal`, which the caller knows
  let output = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8');
    stream.on('data', (text: string) => {
      output += text;
      file.write(text);
    });
  }
  const code = await new Promise<number>((resolve) => child.once('close', (exit) => resolve(exit ?? 1)));
  file.end();
  await once(file, 'finish');
  const { passed, counts } = judgeTap({ code, output });
  const said = [...output.matchAll(/^ *# (.*)$/gmu)]
    .map(([, line = '']) => line)
    .filter((line) => !NODE_SAYS.test(line));
  const tail = output.trimEnd().split('\n').slice(-TAIL_LINES);
  return { campaign, passed, counts, seconds: Math.round((performance.now() - from) / 1000), said, tail };
}
