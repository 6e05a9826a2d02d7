import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import type { Campaign } from '../../scripts/long/campaigns.ts';
import { runCampaign } from '../../scripts/long/run-campaign.ts';

const HEAD = "const { test } = require('node:test');\n";
const SAYS = `test('drawn', (t) => {
  const { L7EGG_SEED, L7EGG_FUZZ } = process.env;
  t.diagnostic('seed ' + L7EGG_SEED + ', rounds ' + L7EGG_FUZZ);
});`;

let checkout: string;

before(() => {
  checkout = mkdtempSync(join(tmpdir(), 'l7egg-long-'));
  mkdirSync(join(checkout, 'build'));
});
after(() => rmSync(checkout, { recursive: true, force: true }));

function run(body: string, signal = new AbortController().signal) {
  writeFileSync(join(checkout, 'build/a.test.js'), HEAD + body);
  const campaign: Campaign = {
    name: 'a',
    files: ['a.test.js'],
    settings: { L7EGG_FUZZ: '12' },
    lane: 'bytes',
  };
  return runCampaign(campaign, { checkout, log: join(checkout, 'log'), seed: 7, signal });
}

describe('a campaign', () => {
  test('that passes: its count, and what its tests said', async () => {
    const { passed, counts, said } = await run(SAYS);
    assert.deepEqual([passed, counts, said], [true, '1 tests', ['seed 7, rounds 12']]);
    assert.match(readFileSync(join(checkout, 'log'), 'utf8'), /# seed 7, rounds 12/u);
  });

  test('of which one fails fails, and shows the end of its log', async () => {
    const { passed, counts, tail } = await run(`${SAYS} test('bad', () => { throw new Error('why'); });`);
    assert.deepEqual([passed, counts], [false, '1 tests, 1 failed']);
    assert.ok(tail.length > 0);
  });

  test('of which one is left out, or that has none, fails', async () => {
    assert.equal((await run(`${SAYS} test.skip('later', () => {});`)).passed, false);
    assert.equal((await run('process.exit(0);')).counts.startsWith('1 tests'), true); // a file is one
    assert.equal((await run('process.exit(1);')).passed, false);
  });

  test('that is stopped fails', async () => {
    const stopped = new AbortController();
    setImmediate(() => stopped.abort());
    const { passed } = await run(
      "test('long', () => new Promise((done) => setTimeout(done, 60_000)));",
      stopped.signal,
    );
    assert.equal(passed, false);
  });
});
