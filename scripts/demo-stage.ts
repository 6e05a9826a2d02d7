import chalk from 'chalk';
import type { FetchedBody } from '../test/lab/clients.ts';
import type { Process } from '../test/lab/process.ts';

const EVENT_LIMIT_MS = 1_000;
const REFUSAL_LIMIT_MS = 100;
const CURL_REFUSED = 7;
const SHOWN_OF_SERIES = 4;

/** What the demo writes, and how many of its expectations were met. */
export class Stage {
  readonly #startedAt = performance.now();
  #met = 0;
  #missed = 0;
  #series: string | undefined;
  #inSeries = 0;

  /** Expectations that were not met. */
  get missed(): number {
    return this.#missed;
  }

  /** A headline. */
  act(title: string): void {
    this.#write(`\n${chalk.bold(`▌ ${title}`)}`);
  }

  /** A remark of one or more lines. */
  say(text: string): void {
    for (const line of text.trimEnd().split('\n')) this.#write(`  ${chalk.dim(line)}`);
  }

  /** Shows each line that `enforcer` writes from now on, as it comes; of a series, only the first ones. */
  follow(enforcer: Process): void {
    enforcer.onLine(({ text }) => {
      const isOfSeries = this.#series !== undefined && text.includes(this.#series);
      if (isOfSeries && ++this.#inSeries > SHOWN_OF_SERIES) return;
      this.#tell(text);
    });
  }

  /** Lines with this text are a series from now on. */
  beginSeries(text: string): void {
    this.#series = text;
    this.#inSeries = 0;
  }

  /** Says how many lines of the series were left out. */
  endSeries(): void {
    const more = this.#inSeries - SHOWN_OF_SERIES;
    if (more > 0) this.#tell(`… and ${more} lines more like these`);
  }

  #tell(text: string): void {
    this.#write(`      ${chalk.cyan('l7egg │')} ${text}`);
  }

  /** Shows `what`, and counts whether it was `met`. */
  expect(met: boolean, what: string): void {
    if (met) this.#met += 1;
    else this.#missed += 1;
    this.#write(`  ${met ? chalk.green('✔') : chalk.red('✘ NOT AS EXPECTED:')} ${what}`);
  }

  /** Expects that a web server answered. */
  expectAnswer(fetched: FetchedBody): void {
    this.expect(fetched.exitCode === 0 && fetched.httpCode === 200, outcome(fetched));
  }

  /** Expects an error at once: no answer, and no time-out. */
  expectRefusal(fetched: FetchedBody): void {
    this.expect(fetched.exitCode === CURL_REFUSED && fetched.totalMs < REFUSAL_LIMIT_MS, outcome(fetched));
  }

  /** Expects that the enforcer wrote, or writes soon, a line after `mark` that holds `subject`. */
  async expectEvent(enforcer: Process, subject: string, mark: number): Promise<void> {
    const pattern = new RegExp(subject.replaceAll(/[.*+?^${}()|[\]\\]/g, '\\$&'));
    try {
      await enforcer.waitForLine(pattern, EVENT_LIMIT_MS, mark);
    } catch {
      this.expect(false, `an event that names ${subject}, within ${EVENT_LIMIT_MS} ms`);
    }
  }

  /** The last line: what it all came to. */
  end(): void {
    const seconds = ((performance.now() - this.#startedAt) / 1000).toFixed(1);
    const sum = `${this.#met} of ${this.#met + this.#missed} as expected, in ${seconds} s.`;
    this.#write(`\n${this.#missed === 0 ? chalk.green.bold(sum) : chalk.red.bold(sum)}`);
  }

  #write(text: string): void {
    process.stdout.write(`${text}\n`);
  }
}

function outcome(fetched: FetchedBody): string {
  const what = fetched.exitCode === 0 ? `${fetched.httpCode} "${fetched.body}"` : fetched.error;
  return `curl ${fetched.url}  →  ${what} (${fetched.totalMs.toFixed(1)} ms)`;
}
