/** A bound on what was measured; `limit` and `value` are of the same unit. */
export interface Target {
  readonly what: string;
  readonly value: number;
  readonly limit: number;
  /** Written behind value and limit, such as `×`. */
  readonly unit: string;
}

/** Collects what the benchmarks find: lines as they come, tables for the README, and which targets were met. */
export class Report {
  readonly #tables: string[] = [];
  readonly #targets: (Target & { readonly met: boolean })[] = [];

  /** Targets that were missed. */
  get missed(): number {
    return this.#targets.filter(({ met }) => !met).length;
  }

  /** Says what is going on, on stderr. */
  progress(text: string): void {
    process.stderr.write(`${text}\n`);
  }

  /** A table of the README; the first row is the head. */
  table(title: string, rows: readonly (readonly string[])[]): void {
    const [head = [], ...body] = rows;
    const line = (cells: readonly string[]) => `| ${cells.join(' | ')} |`;
    const rule = line(head.map((_, column) => (column === 0 ? '---' : '---:')));
    const text = [`### ${title}`, '', line(head), rule, ...body.map(line), ''].join('\n');
    this.#tables.push(text);
    this.progress(`\n${text}`);
  }

  /** Holds `value` against `limit`. */
  expect(target: Target): void {
    this.#targets.push({ ...target, met: target.value <= target.limit });
  }

  /** Writes all tables, and the targets with what came of them, to stdout. */
  print(): void {
    const verdicts = this.#targets.map(
      ({ what, value, limit, unit, met }) =>
        `${met ? 'PASS' : 'FAIL'}  ${what}: ${digits(value)}${unit}, at most ${digits(limit)}${unit}`,
    );
    process.stdout.write(`${[...this.#tables, ...verdicts].join('\n')}\n`);
  }
}

/** Whole numbers as they are, others with two digits behind the point. */
export function digits(value: number): string {
  return Number.isInteger(value) ? `${value}` : value.toFixed(2);
}
