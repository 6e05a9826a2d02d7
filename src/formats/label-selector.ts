import type { FormatContext } from './part.ts';
import type { MapValue, Value } from './value.ts';

const OPERATORS = ['In', 'NotIn', 'Exists', 'DoesNotExist'] as const;
const KEY = /^(?:[a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?\/)?[a-z0-9](?:[a-z0-9._-]{0,61}[a-z0-9])?$/iu;
const VALUE = /^(?:[a-z0-9](?:[a-z0-9._-]{0,61}[a-z0-9])?)?$/iu;
const LEGAL_NAME = 'up to 63 letters, digits, "-", "_" and "." between letters or digits';

/** What a label selector asks of one label. */
export interface Requirement {
  readonly key: string;
  readonly operator: (typeof OPERATORS)[number];
  /** Of In and NotIn only. */
  readonly values: readonly string[];
}

/** What Cilium puts before a key: where the label comes from. */
const SOURCE = /^[a-z0-9-]+:/iu;

/**
 * Reads a Kubernetes label selector to all that it requires; `{}` requires nothing. Undefined when some is wrong.
 * `sources`: keys may have one before them, as `k8s:app`, which stays there.
 */
export function readLabelSelector(value: Value, sources?: 'sources'): Requirement[] | undefined {
  const map = value.map('{} for all, or a map with "matchLabels" and "matchExpressions", is legal');
  if (!map) return undefined;
  const labels = map.getNonNull('matchLabels')?.map('a map of labels and their values is legal');
  const expressions = map.getNonNull('matchExpressions')?.list('a list of requirements is legal');
  map.end();
  const read = [
    ...(labels?.keys() ?? []).map((key) => readLabel(labels?.get(key), key, sources)),
    ...(expressions ?? []).map((each) => readExpression(each, sources)),
  ];
  const requirements = read.flatMap((each) => each ?? []);
  return requirements.length === read.length ? requirements : undefined;
}

/** Whether labels are as required. As in Kubernetes, NotIn also takes what has no such label. */
export function matchesLabels(
  requirements: readonly Requirement[],
  labels: ReadonlyMap<string, string>,
): boolean {
  return requirements.every(({ key, operator, values }) => {
    const value = labels.get(key);
    switch (operator) {
      case 'In':
        return value !== undefined && values.includes(value);
      case 'NotIn':
        return value === undefined || !values.includes(value);
      case 'Exists':
        return value !== undefined;
      case 'DoesNotExist':
        return value === undefined;
      default:
        return operator satisfies never;
    }
  });
}

/**
 * Whether the subject at hand is one that a policy's selector of pods means, which an absent or empty one does.
 * False is said in a warning; undefined = it can't be known, which is said too.
 */
export function selectsSubject(selector: Value | undefined, { labels }: FormatContext): boolean | undefined {
  if (!selector) return true;
  const requirements = readLabelSelector(selector);
  if (!requirements) return undefined;
  if (requirements.length === 0) return true;
  if (!labels) {
    return selector.unsupported(
      'chooses pods by labels, and of the subject none are known: -label says them',
    );
  }
  if (matchesLabels(requirements, labels)) return true;
  selector.warn('does not choose what has the labels of -label: the policy is not for this subject');
  return false;
}

function readLabel(value: Value | undefined, key: string, sources?: 'sources'): Requirement | undefined {
  const text = value && readLabelValue(value);
  if (!value || !isKey(value, key, sources) || text === undefined) return undefined;
  return { key, operator: 'In', values: [text] };
}

function readExpression(value: Value, sources?: 'sources'): Requirement | undefined {
  const map = value.map('a map with "key", "operator" and "values" is legal');
  if (!map) return undefined;
  const keyValue = map.require('key', 'the key of a label is legal');
  const key = keyValue?.text('the key of a label is legal');
  const operator = map.require('operator', `one of ${OPERATORS.join(', ')} is legal`)?.word(OPERATORS);
  const values = readValues(map, operator);
  map.end();
  if (!keyValue || key === undefined || !isKey(keyValue, key, sources) || !operator || !values)
    return undefined;
  return { key, operator, values };
}

function readValues(map: MapValue, operator: Requirement['operator'] | undefined): string[] | undefined {
  const value = map.getNonNull('values');
  const values = value ? value.list('a list of values of the label is legal') : [];
  const texts = values?.flatMap((each) => readLabelValue(each) ?? []);
  if (!operator || !values || texts?.length !== values.length) return undefined;
  const takesValues = operator === 'In' || operator === 'NotIn';
  if (takesValues === values.length > 0) return texts;
  return (value ?? map.value).error(
    takesValues
      ? `has no values: ${operator} needs one or more`
      : `has values: with ${operator} none are legal`,
  );
}

function readLabelValue(value: Value): string | undefined {
  const text = value.text('the value of a label is legal');
  if (text === undefined || VALUE.test(text)) return text;
  return value.error(`is "${text}", which no label can have: nothing or ${LEGAL_NAME} are legal`);
}

function isKey(value: Value, key: string, sources: 'sources' | undefined): boolean {
  if (KEY.test(sources ? key.replace(SOURCE, '') : key)) return true;
  value.error(
    `has the key "${key}", which no label can have: ${LEGAL_NAME} are legal, and a DNS name with "/" before them`,
  );
  return false;
}
