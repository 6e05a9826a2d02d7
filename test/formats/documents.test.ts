import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { PolicyFileError } from '../../src/errors.ts';
import { type PolicyText, readPolicies } from '../../src/formats/read-policies.ts';
import { subjectText } from '../../src/policy/subject.ts';

const HEAD = 'apiVersion: l7egg/v1\nkind: EgressPolicy\n';
const policy = (name: string): string => `${HEAD}name: ${name}\nrules: []\n`;
const asItem = (name: string): string =>
  `{apiVersion: l7egg/v1, kind: EgressPolicy, name: ${name}, rules: []}`;
const list = (...items: readonly string[]): string =>
  `apiVersion: v1\nkind: List\nmetadata: {}\nitems: [${items.join(', ')}]\n`;
const KINDS =
  'l7egg/v1 EgressPolicy, networking.k8s.io/v1 NetworkPolicy, k8s.cni.cncf.io/v1beta1 MultiNetworkPolicy, k8s.cni.cncf.io/v1beta2 MultiNetworkPolicy, maciekleks.dev/v1alpha1 ClusterEgg, egress.monzo.com/v1 ExternalService, cilium.io/v2 CiliumNetworkPolicy or cilium.io/v2 CiliumClusterwideNetworkPolicy is legal';

const files = (...texts: readonly string[]): PolicyText[] =>
  texts.map((text, index) => ({ file: `${index + 1}.yaml`, text }));

async function namesOf(...texts: readonly string[]): Promise<string[]> {
  const { parts } = await readPolicies(files(...texts), { lenient: false });
  return parts.map(({ name }) => name);
}

async function linesOf(...texts: readonly string[]): Promise<readonly string[]> {
  try {
    await readPolicies(files(...texts), { lenient: false });
  } catch (thrown) {
    if (thrown instanceof PolicyFileError) return thrown.lines;
    throw thrown;
  }
  return [];
}

describe('readPolicies reads', () => {
  const rows: readonly (readonly [title: string, texts: readonly string[], ...names: string[]])[] = [
    ['one document', [policy('a')], 'a'],
    ['several documents', [`${policy('a')}---\n${policy('b')}`], 'a', 'b'],
    ['several files', [policy('a'), policy('b')], 'a', 'b'],
    ['the same file twice', [policy('a'), policy('a')], 'a', 'a'],
    ['a list', [list(asItem('a'), asItem('b'))], 'a', 'b'],
    ['an empty list', [list()]],
    [
      'a list in a list',
      [list('{apiVersion: v1, kind: List, items: [{apiVersion: v1, kind: List, items: []}]}', asItem('a'))],
      'a',
    ],
    [
      'a list between documents',
      [`${policy('a')}---\n${list(asItem('b'))}---\n${policy('c')}`],
      'a',
      'b',
      'c',
    ],
    ['JSON', [JSON.stringify({ apiVersion: 'l7egg/v1', kind: 'EgressPolicy', name: 'a', rules: [] })], 'a'],
    [
      'kinds of others beside our own',
      [
        `${policy('a')}---\napiVersion: egress.monzo.com/v1\nkind: ExternalService\nmetadata: {name: b}\nspec: {dnsName: b.test, ports: [{port: 443}]}`,
      ],
      'a',
      'b',
    ],
    ['no file', []],
  ];
  for (const [title, texts, ...names] of rows)
    test(title, async () => assert.deepEqual(await namesOf(...texts), names));

  test('a subject twice, as two parts', async () => {
    const text = `${HEAD}subject: unit:a\nrules: []\n---\n${HEAD}subject: unit:a.service\nrules: []`;
    const { parts } = await readPolicies(files(text), { lenient: false });
    assert.deepEqual(
      parts.map(({ subject }) => subject && subjectText(subject)),
      ['unit:a.service', 'unit:a.service'],
    );
  });
});

describe('readPolicies refuses', () => {
  const rows: readonly (readonly [title: string, texts: readonly string[], ...lines: string[]])[] = [
    ['one of several files that is empty', [policy('a'), ''], '2.yaml:1:1: is empty: a policy is legal'],
    ['a kind that is absent', ['apiVersion: l7egg/v1'], `1.yaml:1:1: the document has no "kind": ${KINDS}`],
    [
      'a version that is absent',
      ['kind: EgressPolicy'],
      `1.yaml:1:1: the document has no "apiVersion": ${KINDS}`,
    ],
    [
      'a version that is a number',
      ['apiVersion: 1\nkind: EgressPolicy'],
      '1.yaml:1:13: apiVersion is 1: text is legal',
    ],
    [
      'an unknown kind',
      ['apiVersion: v1\nkind: Pod'],
      `1.yaml:2:7: kind "Pod" of apiVersion "v1" is not a kind that is read: ${KINDS}`,
    ],
    [
      'a List of another version',
      ['apiVersion: v2\nkind: List\nitems: []'],
      `1.yaml:2:7: kind "List" of apiVersion "v2" is not a kind that is read: ${KINDS}`,
    ],
    [
      'a List without items',
      ['apiVersion: v1\nkind: List'],
      '1.yaml:1:1: the document has no "items": a list of policies is legal',
    ],
    [
      'a List of nothing',
      ['apiVersion: v1\nkind: List\nitems:'],
      '1.yaml:3:7: items is nothing: a list is legal',
    ],
    [
      'a List with a key too many',
      [`${list()}spec: 1`],
      '1.yaml:5:1: the document has the unknown key "spec": "apiVersion", "kind", "metadata" or "items" is legal',
    ],
    [
      'items that are no policies',
      [list('7', '{kind: EgressPolicy}', asItem('a'))],
      '1.yaml:4:9: items[0] is 7: a map with "apiVersion" and "kind" is legal',
      `1.yaml:4:12: items[1] has no "apiVersion": ${KINDS}`,
    ],
    [
      'all that is wrong, documents in their order, files in the order in which they were given',
      [`${HEAD}dns: x\nrules: {}\n---\n${HEAD}rules: [7]`, `${HEAD}rules: 7`, 'hello'],
      '1.yaml:3:6: dns is "x": "open" or "strict" is legal',
      '1.yaml:4:8: rules is a map: a list is legal',
      '1.yaml:8:9: rules[0] is 7: a rule is a map with "names", "suffixes", "cidrs", "ports" and "action"',
      '2.yaml:3:8: rules is 7: a list is legal',
      '3.yaml:1:1: the document is "hello": a map with "apiVersion" and "kind" is legal',
    ],
    [
      'errors of YAML beside others of the file',
      [`${HEAD}rules: 7\n---\na: [`],
      '1.yaml:3:8: rules is 7: a list is legal',
      '1.yaml:5:5: is not legal YAML: Flow sequence in block collection must be sufficiently indented and end with a ]',
    ],
  ];
  for (const [title, texts, ...lines] of rows)
    test(title, async () => assert.deepEqual(await linesOf(...texts), lines));
});
