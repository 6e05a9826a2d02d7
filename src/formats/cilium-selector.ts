import type { Value } from './value.ts';

const OPERATORS = ['In', 'NotIn', 'Exists', 'DoesNotExist'] as const;

/** Whether labels are those that a selector asks for; `unknown` when there are none to ask. */
export type Fit = 'fits' | 'differs' | 'unknown';

interface Requirement {
  readonly key: string;
  readonly operator: (typeof OPERATORS)[number];
  readonly values: readonly string[];
}

/** Reads a selector of labels and compares; `{}` fits everything, also where no labels are known. */
export function readSelector(value: Value, labels: ReadonlyMap<string, string> | undefined): Fit {
  const map = value.map('a map with "matchLabels" and "matchExpressions", or {} for all, is legal');
  const matchLabels = map?.getNonNull('matchLabels')?.map();
  const expressions = map?.getNonNull('matchExpressions')?.list() ?? [];
  map?.end();
  const requirements = [
    ...(matchLabels?.keys() ?? []).map((key): Requirement => {
      const text = matchLabels?.get(key)?.text('the value of a label is legal');
      return { key, operator: 'In', values: text === undefined ? [] : [text] };
    }),
    ...expressions.flatMap((each) => readExpression(each) ?? []),
  ];
  if (requirements.length === 0) return 'fits';
  if (!labels) return 'unknown';
  return requirements.every((requirement) => isMet(requirement, labels)) ? 'fits' : 'differs';
}

function readExpression(value: Value): Requirement | undefined {
  const map = value.map('a map with "key", "operator" and "values" is legal');
  const key = map?.require('key', 'the key of a label is legal')?.text('the key of a label is legal');
  const operator = map?.require('operator', OPERATORS.join(', '))?.word(OPERATORS);
  const list = map?.getNonNull('values');
  const values = list?.list()?.flatMap((each) => each.text('the value of a label is legal') ?? []) ?? [];
  map?.end();
  if (key === undefined || operator === undefined) return undefined;
  const needsValues = operator === 'In' || operator === 'NotIn';
  if (needsValues && values.length === 0) value.error(`has no "values": a list is legal with ${operator}`);
  if (!needsValues && values.length > 0) list?.error(`stands beside ${operator}: no value is legal`);
  return { key, operator, values };
}

/* As in Kubernetes, NotIn is also met where the label is not there. */
function isMet({ key, operator, values }: Requirement, labels: ReadonlyMap<string, string>): boolean {
  const found = [...labels].filter(([label]) => isMeant(key, label)).map(([, text]) => text);
  switch (operator) {
    case 'In':
      return found.some((text) => values.includes(text));
    case 'NotIn':
      return !found.some((text) => values.includes(text));
    case 'Exists':
      return found.length > 0;
    case 'DoesNotExist':
      return found.length === 0;
    default:
      return operator satisfies never;
  }
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
