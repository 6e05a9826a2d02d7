import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import {
  alignRows,
  hasPassed,
  keepReport,
  type RunReport,
  renderReport,
  testedCommit,
} from '../../tools/run-report.ts';

const REPORT: RunReport = {
  title: 'kernels',
  commit: 'abc-dirty',
  lines: ['12 tests'],
  results: [
    { kernel: '6.1.0-1', passed: true },
    { kernel: '6.12.0-2', passed: false },
  ],
};
const PAGE =
  'kernels\n\n12 tests\n\nRESULT: pass commit=abc-dirty kernel=6.1.0-1\nRESULT: fail commit=abc-dirty kernel=6.12.0-2\n';

test('a report ends with one result for each kernel', () => assert.equal(renderReport(REPORT), PAGE));

test('a report passes when all kernels do, and there is one', () => {
  const [first] = REPORT.results;
  assert.ok(first);
  assert.equal(hasPassed({ ...REPORT, results: [first] }), true);
  assert.equal(hasPassed(REPORT), false);
  assert.equal(hasPassed({ ...REPORT, results: [] }), false);
});

test('columns are as wide as their longest cell', () =>
  assert.deepEqual(
    alignRows([
      ['kernel', 's'],
      ['6.1', '10', 'ok'],
    ]),
    ['kernel  s', '6.1     10  ok'],
  ));

describe('in a checkout', () => {
  let checkout: string;
  const git = (...words: readonly string[]) =>
    execFileSync('git', ['-C', checkout, '-c', 'user.name=t', '-c', 'user.email=t@t.test', ...words], {
      encoding: 'utf8',
    }).trim();

  before(() => {
    checkout = mkdtempSync(join(tmpdir(), 'l7egg-report-'));
    git('init', '-q');
    writeFileSync(join(checkout, 'a'), '1');
    git('add', 'a');
    git('commit', '-q', '-m', 'a');
  });
  after(() => rmSync(checkout, { recursive: true, force: true }));

  test('a kept report is the page, and leaves the tree as clean as it was', () => {
    const path = join(checkout, 'test/reports/vm.txt');
    keepReport(path, REPORT);
    assert.equal(readFileSync(path, 'utf8'), PAGE);
    assert.equal(testedCommit(checkout), git('rev-parse', 'HEAD'));
  });

  test('a file that is changed or new makes it dirty', () => {
    writeFileSync(join(checkout, 'a'), '2');
    assert.equal(testedCommit(checkout), `${git('rev-parse', 'HEAD')}-dirty`);
    writeFileSync(join(checkout, 'a'), '1');
    assert.equal(testedCommit(checkout), git('rev-parse', 'HEAD'));
    mkdirSync(join(checkout, 'src'));
    writeFileSync(join(checkout, 'src/b'), '');
    assert.equal(testedCommit(checkout), `${git('rev-parse', 'HEAD')}-dirty`);
  });
});
