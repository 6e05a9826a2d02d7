import { LIMITS } from '../datapath/layout.ts';
import { SUBJECT_HOOKS } from '../datapath/subject-hooks.ts';
import type { Status } from '../enforcer/status.ts';
import { escapeControl } from '../flow/escape.ts';
import { formatSpan } from './amounts.ts';
import {
  renderFlows,
  renderKernel,
  renderLearned,
  renderLosses,
  renderRules,
} from './render-status-lists.ts';

/** Of what a reload said. */
const MAX_RELOAD_LINES = 6;

/**
 * What is in force, for a person, the most important first: a headline, subjects, interfaces, what was lost, rules,
 * addresses, flows, counters and sizes; or that nothing is, and what `others` adds to that. What came from outside is
 * escaped; long lists are cut.
 */
export function renderStatus(status: Status, others = ''): string {
  if (!status.enforcing && status.interfaces.length === 0 && status.subjects.length === 0) {
    return `${escapeControl(`instance "${status.instance}": nothing is in force${others}`)}\n`;
  }
  const lines = [
    `${status.enforcing ? 'enforcing' : 'NOT enforcing'}${describeOtherLayout(status)}`,
    `  instance   ${status.instance}`,
    `  process    ${status.pid ?? 'none'}`,
    ...describeProcess(status),
    `  since      ${status.startedAt ?? 'unknown'}`,
    `  resolvers  ${status.resolvers.map(escapeControl).join(', ') || 'none'}`,
    ...describeReload(status.reload),
    ...status.subjects.flatMap(describeSubject),
    ...(status.interfaces.length > 0 ? ['interfaces'] : []),
    ...status.interfaces.flatMap(describeInterface),
    ...(isReadable(status) ? renderMaps(status) : []),
  ];
  return `${lines.map(escapeControl).join('\n')}\n`;
}

/* Pins of another layout hold what this version can't read. */
function isReadable({ layout }: Status): boolean {
  return layout === undefined || layout === LIMITS.LAYOUT_VERSION;
}

function describeOtherLayout(status: Status): string {
  if (isReadable(status)) return '';
  const age = (status.layout ?? 0) < LIMITS.LAYOUT_VERSION ? 'an older' : 'a newer';
  return ` by ${age} version (layout ${status.layout}): this one (layout ${LIMITS.LAYOUT_VERSION}) can't read its rules, addresses and counters`;
}

function renderMaps(status: Status): string[] {
  return [
    ...renderLosses(status),
    ...renderRules(status),
    ...renderLearned(status),
    ...renderFlows(status),
    'counters',
    ...Object.entries(status.counters)
      .filter(([, value]) => value > 0)
      .map(([name, value]) => `  ${pad(name.replaceAll('_', ' '))} ${value}`),
    ...renderKernel(status),
  ];
}

function describeProcess({ process }: Status): string[] {
  if (!process) return [];
  const { uptimeSeconds, residentBytes, readers } = process;
  const reading = readers === undefined ? ', does not answer' : `, readers of events: ${readers}`;
  return [
    `  up         ${formatSpan(uptimeSeconds)}, ${(residentBytes / 2 ** 20).toFixed(1)} MiB resident${reading}`,
  ];
}

function describeReload(reload: Status['reload']): string[] {
  if (!reload) return [];
  const [headline = '', ...lines] = reload.lines.map(escapeControl);
  const more = lines.length - MAX_RELOAD_LINES;
  return [
    `  reload     ${reload.ok ? '' : 'FAILED '}${reload.at}: ${headline}`,
    ...lines.slice(0, MAX_RELOAD_LINES).map((line) => `             ${line}`),
    ...(more > 0 ? [`             … ${more} more, see -json`] : []),
  ];
}

function describeSubject(status: Status['subjects'][number]): string[] {
  const { subject, policies, files, dns, audit, settings, cgroups } = status;
  const from = files ? ` (from ${files.map(escapeControl).join(', ')})` : '';
  return [
    `subject ${escapeControl(subject)}`,
    ...(policies ? [`  policy     ${policies.map(escapeControl).join(', ')}${from}`] : []),
    `  dns        ${dns}${audit ? ', audit: nothing is dropped' : ''}`,
    ...settings.map((text) => `  setting    ${escapeControl(text)}`),
    ...(cgroups.length === 0 && subject !== 'host' ? ['  cgroup     none there: waited for'] : []),
    ...cgroups.flatMap(({ path, attached, hooks }) => [
      `  cgroup     ${escapeControl(path)}${attached ? '' : ': NOT ATTACHED'}`,
      `    hooks    ${hooks.length} of ${SUBJECT_HOOKS}${hooks.length > 0 ? `: ${hooks.join(', ')}` : ''}`,
    ]),
  ];
}

function describeInterface(each: Status['interfaces'][number]): string[] {
  const does = [each.enforces ? 'enforced' : '', each.learns ? 'learns from answers' : '']
    .filter(Boolean)
    .join(', ');
  const name = `  ${pad(escapeControl(each.name))}`;
  if (each.ifindex === 0) return [`${name} ${does}: not there, waited for`];
  const lacks = (['ingress', 'egress'] as const).filter((direction) => !each.hooks.includes(direction));
  return [
    `${name} ${lacks.length === 0 ? does : `${does}: NOT ATTACHED (${lacks.join(', ')})`}`,
    ...(['ingress', 'egress'] as const).flatMap((side) => describeOrder(each, side)),
  ];
}

/* Who stands before us may pass packets by us. */
function describeOrder(
  { order, attach }: Status['interfaces'][number],
  side: 'ingress' | 'egress',
): string[] {
  const chain = order?.[side] ?? [];
  const at = chain.findIndex(({ ours }) => ours);
  if (at < 0) return [];
  const before = chain.slice(0, at).map(({ program }) => `"${escapeControl(program)}"`);
  return [
    `    ${side.padEnd(14)} ${attach ?? ''} ${at + 1} of ${chain.length}${before.length > 0 ? `, behind ${before.join(', ')}` : ''}`,
  ];
}

function pad(text: string): string {
  return text.padEnd(16);
}
