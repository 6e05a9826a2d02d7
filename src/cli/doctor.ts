import { Pins } from '../datapath/pins.ts';
import { requirePins } from '../enforcer/bpffs.ts';
import { examineHost } from '../enforcer/host-report.ts';
import type { Netns } from '../enforcer/netns.ts';
import { enterNamed } from '../enforcer/netns.ts';
import { isEnforcing } from '../enforcer/status-hooks.ts';
import { escapeControl } from '../flow/escape.ts';
import { mentionOthers } from './others.ts';

const MARKS = { ok: 'ok     ', note: 'note   ', missing: 'MISSING' };

/** Reports on the host. Exit code 0 when l7egg can enforce here, 3 when something is missing. */
export function runDoctor(options: { readonly instance: string; readonly netns?: Netns }): number {
  if (options.netns) enterNamed(options.netns);
  const findings = examineHost();
  for (const { level, text } of findings) process.stdout.write(`${MARKS[level]} ${escapeControl(text)}\n`);
  if (findings.some(({ level }) => level === 'missing')) return 3;
  const { instance } = options;
  requirePins();
  const state = isEnforcing(new Pins(instance))
    ? 'enforcing'
    : `nothing is in force${mentionOthers(instance)}`;
  process.stdout.write(`${MARKS.ok} ${escapeControl(`instance "${instance}": ${state}`)}\n`);
  return 0;
}
