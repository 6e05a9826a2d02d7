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

/** The rules, those that are hit most first. */
export function renderRules({ rules, subjects }: Status): string[] {
  const hits = ({ allowed, refused, learned }: Status['rules'][number]) => allowed + refused + learned;
  const sorted = [...rules].sort((a, b) => hits(b) - hits(a));
  const hasEvicted = rules.some(({ evicted }) => evicted > 0);
  const rows = sorted.slice(0, MAX_RULES).map((rule) => [
    // Subjects may have rules of the same name.
    escapeControl(subjects.length > 1 ? `${rule.rule} (${rule.subject})` : rule.rule),
    `${rule.allowed}`,
    `${rule.refused}`,
    `${rule.learned}`,
    ...(hasEvicted ? [`${rule.evicted}`] : []),
    escapeControl(rule.policy),
  ]);
  const head = ['', 'allowed', 'refused', 'learned', ...(hasEvicted ? ['evicted'] : []), 'policy'];
  const [title = '', ...lines] = alignColumns([head, ...rows], [1, 2, 3, ...(hasEvicted ? [4] : [])]);
  return [`rules${title.slice('rules'.length)}`, ...lines, ...more(rules.length - MAX_RULES)];
}

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
