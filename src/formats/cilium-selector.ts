import { matchesLabels, type Requirement, readLabelSelector } from './label-selector.ts';
import type { Value } from './value.ts';

/** Whether labels are those that a selector asks for; `unknown` when there are none to ask. */
export type Fit = 'fits' | 'differs' | 'unknown';

/** Reads a selector of labels and compares; `{}` fits everything, also where no labels are known. */
export function readSelector(value: Value, labels: ReadonlyMap<string, string> | undefined): Fit {
  const requirements = readLabelSelector(value, 'sources') ?? [];
  if (requirements.length === 0) return 'fits';
  if (!labels) return 'unknown';
  return requirements.every((requirement) => isMet(requirement, labels)) ? 'fits' : 'differs';
}

/* A key without source may mean labels of several. */
function isMet(requirement: Requirement, labels: ReadonlyMap<string, string>): boolean {
  const { key, operator } = requirement;
  const meant = [...labels].flatMap(([label, text]) => (isMeant(key, label) ? [new Map([[key, text]])] : []));
  const isOne = (label: ReadonlyMap<string, string>) => matchesLabels([requirement], label);
  return operator === 'In' || operator === 'Exists' ? meant.some(isOne) : meant.every(isOne);
}

/* Cilium puts a source before a key, `k8s:app`; `any:`, or none, is each of them, and a label given without one could
 * be of any. */
function isMeant(key: string, label: string): boolean {
  const [asked, given] = [splitSource(key), splitSource(label)];
  return (
    asked.name === given.name &&
    (asked.source === 'any' || given.source === 'any' || asked.source === given.source)
  );
}

function splitSource(key: string): { readonly source: string; readonly name: string } {
  const colon = key.indexOf(':');
  return colon < 0
    ? { source: 'any', name: key }
    : { source: key.slice(0, colon), name: key.slice(colon + 1) };
}
