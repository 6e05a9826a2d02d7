import { escapeControl } from '../flow/escape.ts';
import type { Blocked, BlockedTargets, Fate } from './blocked.ts';

/** Targets are lined up to this width. */
const MAX_WIDTH = 60;

const DONE: Readonly<Record<Fate, string>> = {
  blocked: 'blocked',
  audited: 'let pass by audit, and would be blocked without',
};

/** What was blocked, for a person: a headline, then a line for each target with the flags that would allow it. */
export function renderBlocked(blocked: BlockedTargets): string[] {
  const sections = sectionsOf(blocked);
  const rest = restOf(blocked);
  if (sections.length === 0) return ['nothing was blocked', ...rest];
  return [...sections.flatMap(({ fate, list }) => renderSection(fate, list)), ...rest];
}

function renderSection(fate: Fate, list: readonly Blocked[]): string[] {
  const width = Math.min(MAX_WIDTH, Math.max(...list.map(({ target }) => escapeControl(target).length)));
  return [
    `${list.length} ${list.length === 1 ? 'target was' : 'targets were'} ${DONE[fate]}; what would allow each:`,
    ...list.map(({ target, reason, remedy, programs, count, isLookup }) => {
      const who = programs.length > 0 ? ` by ${programs.map(escapeControl).join(', ')}` : '';
      const words = [escapeControl(target).padEnd(width), escapeControl(remedy) || 'no flag'];
      return `  ${words.join('  ')}  (${reason}, ${times(count, isLookup)}${who})`;
    }),
  ];
}

/* Most programs look a name up twice, for A and AAAA: a bare "twice" would look like two attempts. */
function times(count: number, isLookup: boolean): string {
  if (isLookup) return `${count} ${count === 1 ? 'lookup' : 'lookups'}`;
  return count === 1 ? 'once' : `${count} times`;
}

/** The same as Markdown, such as GitHub shows below a job. `command` is what was run. */
export function renderBlockedMarkdown(blocked: BlockedTargets, command: string, exitCode: number): string {
  const sections = sectionsOf(blocked);
  const counts = sections.map(({ fate, list }) => `${list.length} ${fate}`).join(', ');
  return [
    `### Egress of ${code(command)}: ${counts || 'nothing was blocked'}`,
    '',
    `Exit code ${exitCode}.`,
    '',
    ...sections.flatMap(({ fate, list }) => [
      `| ${fate} | times | reason | what would allow it |`,
      '|---|---|---|---|',
      ...list.map(
        ({ target, count, reason, remedy }) =>
          `| ${code(target)} | ${count} | ${reason} | ${remedy === '' ? '' : code(remedy)} |`,
      ),
      '',
    ]),
    ...restOf(blocked).flatMap((line) => [`${line}.`, '']),
  ].join('\n');
}

function sectionsOf(blocked: BlockedTargets): { fate: Fate; list: readonly Blocked[] }[] {
  return (['blocked', 'audited'] as const)
    .map((fate) => ({ fate, list: blocked.list(fate) }))
    .filter(({ list }) => list.length > 0);
}

function restOf({ others, lost }: BlockedTargets): string[] {
  return [
    ...(others > 0 ? [`${others} attempts at other targets were blocked or audited, too many to list`] : []),
    ...(lost > 0 ? [`${lost} events were lost, so there may be more`] : []),
  ];
}

/* Names come from the network: nothing in them may end the code span or the row. */
function code(text: string): string {
  return `\`${escapeControl(text).replaceAll('`', "'").replaceAll('|', '\\|')}\``;
}
