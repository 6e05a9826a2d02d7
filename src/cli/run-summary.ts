import { escapeControl } from '../flow/escape.ts';
import type { BlockedTargets } from './blocked.ts';

/** What was blocked, for a person: a headline, then a line for each target with the flag that would allow it. */
export function renderBlocked(blocked: BlockedTargets): string[] {
  const list = blocked.list();
  if (list.length === 0) return ['nothing was blocked', ...lostLine(blocked)];
  const width = Math.min(60, Math.max(...list.map(({ target }) => target.length)));
  return [
    `${list.length} ${list.length === 1 ? 'target was' : 'targets were'} blocked; what would allow each:`,
    ...list.map(({ target, reason, flag, processes, count }) => {
      const who = processes.length > 0 ? ` by ${processes.map(escapeControl).join(', ')}` : '';
      const times = count === 1 ? 'once' : `${count} times`;
      return `  ${escapeControl(target).padEnd(width)}  ${escapeControl(flag)}  (${reason}, ${times}${who})`;
    }),
    ...(blocked.others > 0 ? [`  and ${blocked.others} attempts at other targets`] : []),
    ...lostLine(blocked),
  ];
}

function lostLine({ lost }: BlockedTargets): string[] {
  return lost > 0 ? [`${lost} events were lost, so there may be more`] : [];
}

/** The same as Markdown, such as GitHub shows below a job. `command` is what was run. */
export function renderBlockedMarkdown(blocked: BlockedTargets, command: string, exitCode: number): string {
  const list = blocked.list();
  const rows = list.map(
    ({ target, reason, flag, count }) =>
      `| ${code(target)} | ${count} | ${reason} | ${flag === '' ? '' : code(flag)} |`,
  );
  return [
    `### Egress of ${code(command)}: ${list.length === 0 ? 'nothing was blocked' : `${list.length} blocked`}`,
    '',
    `Exit code ${exitCode}.`,
    '',
    ...(rows.length > 0
      ? ['| blocked | times | reason | what would allow it |', '|---|---|---|---|', ...rows, '']
      : []),
    ...(blocked.others > 0 ? [`And ${blocked.others} attempts at other targets.`, ''] : []),
    ...lostLine(blocked).flatMap((line) => [line, '']),
  ].join('\n');
}

/* Names come from the network: nothing in them may end the code span or the row. */
function code(text: string): string {
  return `\`${escapeControl(text).replaceAll('`', "'").replaceAll('|', '\\|')}\``;
}
