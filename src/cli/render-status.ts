import type { Status } from '../enforcer/status.ts';
import { escapeControl } from '../flow/escape.ts';

const MAX_LEARNED = 20;

/**
 * What is in force, for a person: a headline, then interfaces, rules, addresses and counters; or that nothing
 * is, and what `others` adds to that.
 */
export function renderStatus(status: Status, others = ''): string {
  if (!status.enforcing && status.interfaces.length === 0 && status.subjects.length === 0) {
    return `${escapeControl(`instance "${status.instance}": nothing is in force${others}`)}\n`;
  }
  const lines = [
    status.enforcing ? 'enforcing' : 'NOT enforcing',
    `  instance   ${status.instance}`,
    `  process    ${status.pid ?? 'none'}`,
    `  since      ${status.startedAt ?? 'unknown'}`,
    `  resolvers  ${status.resolvers.join(', ') || 'none'}`,
    ...status.subjects.flatMap(describeSubject),
    ...(status.interfaces.length > 0 ? ['interfaces'] : []),
    ...status.interfaces.map((each) => `  ${pad(each.name)} ${describeInterface(each)}`),
    'rules',
    ...status.rules.map(
      (rule) =>
        `  ${escapeControl(ruleTitle(rule, status)).padEnd(32)} allowed ${rule.allowed} refused ${rule.refused} learned ${rule.learned}${rule.evicted ? ` evicted ${rule.evicted}` : ''}`,
    ),
    `learned addresses: ${status.learned.length}`,
    ...status.learned
      .slice(0, MAX_LEARNED)
      .map(
        (entry) =>
          `  ${entry.address.padEnd(32)} ${entry.endsInSeconds} s  ${escapeControl(entry.rules.join(' '))}`,
      ),
    ...(status.learned.length > MAX_LEARNED
      ? [`  … ${status.learned.length - MAX_LEARNED} more, see -json`]
      : []),
    'counters',
    ...Object.entries(status.counters)
      .filter(([, value]) => value > 0)
      .map(([name, value]) => `  ${pad(name.replaceAll('_', ' '))} ${value}`),
  ];
  return `${lines.map(escapeControl).join('\n')}\n`;
}

/* Subjects may have rules of the same name. */
function ruleTitle({ rule, subject }: Status['rules'][number], { subjects }: Status): string {
  return subjects.length > 1 ? `${rule} (${subject})` : rule;
}

function describeSubject({ subject, dns, audit, settings, cgroups }: Status['subjects'][number]): string[] {
  return [
    `subject ${escapeControl(subject)}`,
    `  dns        ${dns}${audit ? ', audit: nothing is dropped' : ''}`,
    ...settings.map((text) => `  setting    ${text}`),
    ...(cgroups.length === 0 && subject !== 'host' ? ['  cgroup     none there: waited for'] : []),
    ...cgroups.map(
      ({ path, attached }) => `  cgroup     ${escapeControl(path)}${attached ? '' : ': NOT ATTACHED'}`,
    ),
  ];
}

function describeInterface(each: Status['interfaces'][number]): string {
  const does = [each.enforces ? 'enforced' : '', each.learns ? 'learns from answers' : '']
    .filter(Boolean)
    .join(', ');
  if (each.ifindex === 0) return `${does}: not there, waited for`;
  const lacks = (['ingress', 'egress'] as const).filter((direction) => !each.hooks.includes(direction));
  return lacks.length === 0 ? does : `${does}: NOT ATTACHED (${lacks.join(', ')})`;
}

function pad(text: string): string {
  return text.padEnd(16);
}
