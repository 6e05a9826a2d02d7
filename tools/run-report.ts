import { execFileSync } from 'node:child_process';
import { mkdirSync, renameSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';

/** What came of a long run on one kernel; `kernel` is its release as `uname -r` says it. */
export interface KernelResult {
  readonly kernel: string;
  readonly passed: boolean;
}

/** One page: a title, lines as they are to stand there (a table, counts, seeds), and what came of it. */
export interface RunReport {
  readonly title: string;
  readonly commit: string;
  readonly lines: readonly string[];
  /** One for each kernel; none is a failure, too. */
  readonly results: readonly KernelResult[];
}

/** True when there is a result and each one is a pass. */
export function hasPassed({ results }: RunReport): boolean {
  return results.length > 0 && results.every(({ passed }) => passed);
}

/** The page, ending with a line `RESULT: pass|fail commit=SHA kernel=RELEASE` for each kernel. */
export function renderReport({ title, commit, lines, results }: RunReport): string {
  const ends = results.map(
    ({ kernel, passed }) => `RESULT: ${passed ? 'pass' : 'fail'} commit=${commit} kernel=${kernel}`,
  );
  return `${[title, '', ...lines, '', ...ends].join('\n')}\n`;
}

/** Prints the page and puts it in the place of `path` in one step. */
export function keepReport(path: string, report: RunReport): void {
  const page = renderReport(report);
  mkdirSync(dirname(path), { recursive: true });
  const beside = `${path}.new`;
  writeFileSync(beside, page);
  renameSync(beside, path);
  process.stdout.write(page);
}

/** Rows below each other, columns as wide as their longest cell. */
export function alignRows(rows: readonly (readonly string[])[]): readonly string[] {
  const widths: number[] = [];
  for (const row of rows) {
    for (const [column, cell] of row.entries()) widths[column] = Math.max(widths[column] ?? 0, cell.length);
  }
  return rows.map((row) =>
    row
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join('  ')
      .trimEnd(),
  );
}

/**
 * The commit that stands in `checkout`, with `-dirty` when a file differs from it or is not in it. Reports of earlier
 * runs do not count. Ask before the run: what is tested is what stood there then.
 */
export function testedCommit(checkout: string): string {
  const git = (...words: readonly string[]) =>
    execFileSync('git', ['-c', `safe.directory=${checkout}`, '-C', checkout, ...words], {
      encoding: 'utf8',
    }).trim();
  const changed = git('status', '--porcelain', '--untracked-files=all', '--', '.', ':!test/reports');
  return git('rev-parse', 'HEAD') + (changed === '' ? '' : '-dirty');
}
