import type { Status } from '../enforcer/status.ts';
import { escapeControl } from '../flow/escape.ts';
import { formatBytes, formatSpan } from './amounts.ts';
import { alignColumns } from './columns.ts';

const MAX_RULES = 30;
const MAX_LEARNED = 20;
const MAX_MAPS = 8;
const MAX_PROGRAMS = 4;

/** What was lost or found no room; one line where nothing was. */
export function renderLosses({ losses }: Status): string[] {
  if (!losses) return [];
  const { ringFull, mapFull, repliesLimited, evicted, lostByReaders = 0 } = losses;
  const rows = [
    ['events that found the ring full', ringFull],
    ['entries that found no room in a map', mapFull],
    ['refusals left unanswered, being too many', repliesLimited],
    ['leases that gave way to others', evicted],
    ['events that readers were too slow for', lostByReaders],
  ] as const;
  const some = rows.filter(([, count]) => count > 0).map(([text, count]) => [text, `${count}`]);
  return some.length === 0 ? ['losses           none'] : ['losses', ...alignColumns(some, [1])];
}

/** The rules, those that are hit most first; rules of one name in a policy are one line. */
export function renderRules({ rules, subjects }: Status): string[] {
  const sorted = sumByName(rules).sort((a, b) => hitsOf(b) - hitsOf(a));
  const hasEvicted = rules.some(({ evicted }) => evicted > 0);
  const rows = sorted.slice(0, MAX_RULES).map(({ rule, count, allowed, refused, learned, evicted }) => [
    // Subjects may have rules of the same name.
    escapeControl(subjects.length > 1 ? `${rule.rule} (${rule.subject})` : rule.rule),
    `${allowed}`,
    `${refused}`,
    `${learned}`,
    ...(hasEvicted ? [`${evicted}`] : []),
    `${escapeControl(rule.policy)}${count > 1 ? `, ${count} of this name` : ''}`,
  ]);
  const head = ['', 'allowed', 'refused', 'learned', ...(hasEvicted ? ['evicted'] : []), 'policy'];
  const [title = '', ...lines] = alignColumns([head, ...rows], [1, 2, 3, ...(hasEvicted ? [4] : [])]);
  return [`rules${title.slice('rules'.length)}`, ...lines, ...more(sorted.length - MAX_RULES)];
}

type Rule = Status['rules'][number];

function hitsOf({ allowed, refused, learned }: RuleSum): number {
  return allowed + refused + learned;
}

interface RuleSum {
  readonly rule: Rule;
  count: number;
  allowed: number;
  refused: number;
  learned: number;
  evicted: number;
}

/* There may be a hundred thousand of them: a sum is added to in place. */
function sumByName(rules: readonly Rule[]): RuleSum[] {
  const sums = new Map<string, RuleSum>();
  let last: RuleSum | undefined;
  for (const rule of rules) {
    const sum: RuleSum = last && isSameName(last.rule, rule) ? last : sumOf(sums, rule);
    last = sum;
    sum.count += 1;
    for (const count of COUNTS) sum[count] += rule[count];
  }
  return [...sums.values()];
}

function isSameName(a: Rule, b: Rule): boolean {
  return a.rule === b.rule && a.policy === b.policy && a.subject === b.subject;
}

function sumOf(sums: Map<string, RuleSum>, rule: Rule): RuleSum {
  const key = `${rule.subject}\n${rule.policy}\n${rule.rule}`;
  const known = sums.get(key);
  if (known) return known;
  const sum = { rule, count: 0, allowed: 0, refused: 0, learned: 0, evicted: 0 };
  sums.set(key, sum);
  return sum;
}

const COUNTS = ['allowed', 'refused', 'learned', 'evicted'] as const;

/** Addresses with live leases, the names that taught them, and how long they last. */
export function renderLearned({ learned, namesFrom, subjects }: Status): string[] {
  const rows = learned
    .slice(0, MAX_LEARNED)
    .map(({ address, endsInSeconds, names, rules, subject }) => [
      address,
      formatSpan(endsInSeconds),
      escapeControl(names.join(' ') || '-'),
      escapeControl(`${rules.join(' ')}${subjects.length > 1 ? ` (${subject})` : ''}`),
    ]);
  const remark = learned.length === 0 ? '' : NAMES_FROM[namesFrom];
  return [
    `learned addresses: ${learned.length}${remark}`,
    ...alignColumns(rows, [1]),
    ...more(learned.length - MAX_LEARNED),
  ];
}

const NAMES_FROM = {
  process: '',
  file: ' (no process answers: names as it wrote them down)',
  nowhere: ' (no process answers: by address and rule, for names are not known)',
};

/** Live flows by protocol. */
export function renderFlows({ flows }: Status): string[] {
  if (!flows) return [];
  const rows = (['outbound', 'inbound'] as const).map((direction) => {
    const { live, byProtocol, entries, maxEntries, isWhole } = flows[direction];
    const words = Object.entries(byProtocol).map(([word, count]) => `${word} ${count}`);
    const least = isWhole ? '' : 'at least ';
    return [
      direction,
      `${least}${live} live${words.length > 0 ? ` (${words.join(', ')})` : ''}`,
      `${entries} of ${maxEntries} places taken`,
    ];
  });
  return ['flows', ...alignColumns(rows)];
}

/** Sizes of maps and programs, the largest first. */
export function renderKernel({ maps, programs, memoryBytes, layout }: Status): string[] {
  if (maps.length === 0) return [];
  const bySize = <T extends { readonly memoryBytes?: number }>(list: readonly T[]) =>
    [...list].sort((a, b) => (b.memoryBytes ?? 0) - (a.memoryBytes ?? 0));
  const mapRows = bySize(maps)
    .slice(0, MAX_MAPS)
    .map(({ name, kind, entries, maxEntries, memoryBytes: bytes }) => [
      name,
      kind,
      entries === undefined ? `up to ${maxEntries}` : `${entries} of ${maxEntries}`,
      bytes === undefined ? '-' : formatBytes(bytes),
    ]);
  const programRows = bySize(programs)
    .slice(0, MAX_PROGRAMS)
    .map(({ name, tag, xlatedBytes, memoryBytes: bytes }) => [
      escapeControl(name),
      `tag ${tag}`,
      `${formatBytes(xlatedBytes)} of code`,
      bytes === undefined ? '-' : formatBytes(bytes),
    ]);
  return [
    `kernel memory    ${formatBytes(memoryBytes)} in ${maps.length} maps and ${programs.length} programs, layout ${layout}`,
    ...alignColumns(mapRows, [2, 3]),
    ...more(maps.length - MAX_MAPS),
    ...alignColumns(programRows, [2, 3]),
    ...more(programs.length - MAX_PROGRAMS),
  ];
}

function more(count: number): string[] {
  return count > 0 ? [`  … ${count} more, see -json`] : [];
}
