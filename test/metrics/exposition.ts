/** One series as it was scraped. */
export interface ScrapedSample {
  /** With the suffix that histograms and summaries have. */
  readonly name: string;
  readonly labels: ReadonlyMap<string, string>;
  readonly value: number;
}

/** A metric as it was scraped. */
export interface ScrapedFamily {
  readonly name: string;
  readonly help: string;
  readonly type: string;
  readonly samples: readonly ScrapedSample[];
}

/** What a scrape answered, by name of a metric. */
export type Exposition = ReadonlyMap<string, ScrapedFamily>;

const TYPES = ['counter', 'gauge', 'histogram', 'summary', 'untyped'];
const SUFFIXES: Readonly<Record<string, readonly string[]>> = {
  histogram: ['_bucket', '_sum', '_count'],
  summary: ['', '_sum', '_count'],
};
const METRIC_NAME = /^[a-zA-Z_:][a-zA-Z0-9_:]*/u;
const LABEL_NAME = /^[a-zA-Z_][a-zA-Z0-9_]*/u;
/** As ParseFloat of Go takes numbers, which the format refers to. */
const NUMBER = /^(?:[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?|[nN]a[nN]|[+-]Inf)$/u;

/**
 * Parses the text exposition format of Prometheus, version 0.0.4, and takes nothing that it does not allow: each metric
 * has one HELP and one TYPE before its samples, which stand together; no series stands twice; the text ends in a line
 * break. Throws Error that quotes the line.
 */
export function parseExposition(text: string): Exposition {
  if (!text.endsWith('\n')) throw new Error('the text does not end in a line break');
  const families = new Map<string, ScrapedFamily & { samples: ScrapedSample[] }>();
  const helps = new Map<string, string>();
  const series = new Set<string>();
  let current: (ScrapedFamily & { samples: ScrapedSample[] }) | undefined;
  for (const line of text.slice(0, -1).split('\n')) {
    if (line === '') continue;
    if (line.startsWith('# HELP ')) {
      const [, name = '', help = ''] = /^# HELP (\S+) (.*)$/u.exec(line) ?? [];
      if (name === '' || helps.has(name)) throw wrong(line, 'no HELP, or a second one');
      helps.set(name, unquote(help, line, 'n\\'));
      current = undefined;
      continue;
    }
    if (line.startsWith('# TYPE ')) {
      const [, name = '', type = ''] = /^# TYPE (\S+) (\S+)$/u.exec(line) ?? [];
      const help = helps.get(name);
      if (help === undefined || families.has(name) || !TYPES.includes(type)) throw wrong(line, 'TYPE');
      current = { name, help, type, samples: [] };
      families.set(name, current);
      continue;
    }
    if (line.startsWith('#')) continue;
    const sample = parseSample(line);
    if (
      !current ||
      !(SUFFIXES[current.type] ?? ['']).some((suffix) => sample.name === current?.name + suffix)
    )
      throw wrong(line, 'not below the TYPE of its metric');
    const key = `${sample.name}${JSON.stringify([...sample.labels].sort())}`;
    if (series.has(key)) throw wrong(line, 'a series that was there before');
    series.add(key);
    current.samples.push(sample);
  }
  return families;
}

/** The sum of the samples of a metric that have these labels; 0 where there are none. */
export function sumOf(
  metrics: Exposition,
  name: string,
  labels: Readonly<Record<string, string>> = {},
): number {
  return findSamples(metrics, name, labels).reduce((sum, { value }) => sum + value, 0);
}

/** The samples of a metric that have these labels. Throws Error where there is no such metric. */
export function findSamples(
  metrics: Exposition,
  name: string,
  labels: Readonly<Record<string, string>> = {},
): readonly ScrapedSample[] {
  const family = metrics.get(name);
  if (!family) throw new Error(`Cannot find metric "${name}"`);
  return family.samples.filter((sample) =>
    Object.entries(labels).every(([label, value]) => sample.labels.get(label) === value),
  );
}

function parseSample(line: string): ScrapedSample {
  const [name] = METRIC_NAME.exec(line) ?? [];
  if (name === undefined) throw wrong(line, 'no name of a metric');
  let rest = line.slice(name.length);
  const labels = new Map<string, string>();
  if (rest.startsWith('{')) {
    rest = rest.slice(1);
    while (!rest.startsWith('}')) {
      const [label] = LABEL_NAME.exec(rest) ?? [];
      const [quoted, value = ''] = /^="((?:[^"\\]|\\.)*)"/u.exec(rest.slice(label?.length ?? 0)) ?? [];
      if (label === undefined || quoted === undefined || labels.has(label)) throw wrong(line, 'a label');
      labels.set(label, unquote(value, line, 'n\\"'));
      rest = rest.slice(label.length + quoted.length);
      if (rest.startsWith(',')) rest = rest.slice(1);
      else if (!rest.startsWith('}')) throw wrong(line, 'no end of a label');
    }
    rest = rest.slice(1);
  }
  const [, number = '', stamp = ''] = /^ (\S+)(?: (-?\d+))?$/u.exec(rest) ?? [];
  if (!NUMBER.test(number) || stamp !== '') throw wrong(line, 'no value');
  const value = Number(number.replace('Inf', 'Infinity'));
  return { name, labels, value };
}

function unquote(text: string, line: string, legal: string): string {
  return text.replace(/\\(.?)/gsu, (_, character: string) => {
    if (character === '' || !legal.includes(character)) throw wrong(line, `\\${character}`);
    return character === 'n' ? '\n' : character;
  });
}

function wrong(line: string, what: string): Error {
  return new Error(`Cannot parse "${line}": ${what}`);
}
