import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { readPolicies } from '../../src/formats/read-policies.ts';
import { canonicalRule } from '../../src/policy/rule.ts';
import { errorsOf, read } from './kube-reading.ts';

const HEAD = 'apiVersion: l7egg/v1\nkind: EgressPolicy\n';
const rules = (list: string): string => `${HEAD}rules: ${list}`;
const NAME = 'a name such as www.example.com is legal';
const UNKNOWN =
  '"apiVersion", "kind", "name", "subject", "dns", "allowPrivateAnswers", "inbound", "shaping" or "rules" is legal';
/** How long a hostile text may take; what grows with its square takes minutes. */
const SOON_MS = 120_000;
/** Errors that are told. */
const MOST_LINES = 101;

/** Rules of a text, canonically. */
async function rulesOf(text: string): Promise<string[]> {
  const { parts } = await read(text);
  return parts.flatMap((part) => part.rules.map(canonicalRule));
}

describe('a text of YAML is taken', () => {
  const A = 'allow exact a.test any';
  const rows: readonly (readonly [title: string, text: string, ...rules: string[]])[] = [
    ['with a byte order mark', `\ufeff${rules('[{names: [a.test]}]')}`, A],
    ['with CRLF', rules('\n- names:\n  - a.test\n').replaceAll('\n', '\r\n'), A],
    ['with comments', `# first\n${HEAD}# then\nrules: # here\n- names: [a.test] # and here`, A],
    ['with tabs behind a colon', rules('\n- names:\t[a.test]'), A],
    [
      'with anchors',
      rules('[{names: &all [a.test]}, {names: *all, ports: [443/tcp]}]'),
      A,
      'allow exact a.test 6/443-443',
    ],
    [
      'with an anchor twice: the last before the alias',
      rules('[{names: &n [b.test]}, {names: &n [a.test]}, {names: *n}]'),
      'allow exact b.test any',
      A,
      A,
    ],
    [
      'with folded text',
      rules('\n- names:\n  - >-\n    a.test\n  - "b.\\\n     test"'),
      A,
      'allow exact b.test any',
    ],
    ['with a tag of text', rules('[{names: [!!str 1e3]}]'), 'allow exact 1e3 any'],
    [
      'as JSON',
      JSON.stringify({ apiVersion: 'l7egg/v1', kind: 'EgressPolicy', rules: [{ names: ['a.test'] }] }),
      A,
    ],
    ['between empty documents', `---\n---\n${rules('[{names: [a.test]}]')}\n---\n# nothing\n`, A],
    ['behind three dots', `${rules('[{names: [a.test]}]')}\n...\n`, A],
  ];
  for (const [title, text, ...expected] of rows)
    test(title, async () => assert.deepEqual(await rulesOf(text), expected));
});

describe('a text is refused', () => {
  const rows: readonly (readonly [title: string, text: string, ...errors: string[]])[] = [
    ['that is empty', '', '1:1: is empty: a policy is legal'],
    ['of comments only', '# nothing\n', '1:1: is empty: a policy is legal'],
    ['of --- only', '---', '1:1: is empty: a policy is legal'],
    ['of empty documents only', '---\n---\n...\n', '1:1: is empty: a policy is legal'],
    ['of one word', 'hello', '1:1: the document is "hello": a map with "apiVersion" and "kind" is legal'],
    ['that is a list', '[]', '1:1: the document is a list: a map with "apiVersion" and "kind" is legal'],
    ['with NUL', `${rules('[]')}\0`, '1:1: is binary: YAML or JSON is legal'],
    [
      'indented by tabs',
      rules('\n\t- names: [a.test]'),
      '4:1: is not legal YAML: Tabs are not allowed as indentation',
    ],
    [
      'with a tag of its own',
      rules('[{names: [!custom a.test]}]'),
      '3:18: is not legal YAML: Unresolved tag: !custom',
    ],
    [
      'with a tag of code',
      rules('[{names: [!!js/function "x"]}]'),
      '3:18: is not legal YAML: Unresolved tag: tag:yaml.org,2002:js/function',
    ],
    [
      'with a tag of bytes',
      rules('[{names: [!!binary aGVsbG8=]}]'),
      `3:27: rules[0].names[0] is aGVsbG8=: ${NAME}`,
    ],
    [
      'with a merge key',
      rules('[{<<: {names: [a.test]}}]'),
      '3:10: rules[0] has the unknown key "<<": "name", "action", "names", "suffixes", "cidrs" or "ports" is legal',
    ],
    [
      'with a merge key of YAML 1.1',
      `%YAML 1.1\n---\n${rules('[{<<: {names: [a.test]}}]')}`,
      '5:10: rules[0] has the unknown key "<<": "name", "action", "names", "suffixes", "cidrs" or "ports" is legal',
    ],
    [
      'with a word that YAML 1.1 takes for another',
      `%YAML 1.1\n---\n${rules('[{names: [no, 2024-01-01]}]')}`,
      `5:18: rules[0].names[0] is no: ${NAME}`,
      `5:22: rules[0].names[1] is 2024-01-01: ${NAME}`,
    ],
    [
      'with an unknown directive',
      `%FOO bar\n---\n${rules('[]')}`,
      '1:1: is not legal YAML: Unknown directive %FOO',
    ],
    [
      'that ends in the middle of text',
      rules('\n- names:\n  - "a.te'),
      '5:10: is not legal YAML: Missing closing "quote',
    ],
    [
      'that ends in the middle of a key',
      'apiVersion: l7egg/v1\nki',
      '2:1: is not legal YAML: Implicit map keys need to be followed by map values',
    ],
    [
      'that ends in the middle of a list',
      rules('[{names: [a.test'),
      '3:24: is not legal YAML: Flow sequence in block collection must be sufficiently indented and end with a ]',
      '3:24: is not legal YAML: Flow map in block collection must be sufficiently indented and end with a }',
    ],
    [
      'with a key twice',
      `${rules('[]')}\nname: a\nname: b`,
      '5:1: the key "name" stands twice in a map: once is legal',
    ],
    [
      'with a number and its text as keys',
      `${rules('[]')}\n1: a\n"1": b`,
      '5:1: the key "1" stands twice in a map: once is legal',
      `5:1: the document has the unknown key "1": ${UNKNOWN}`,
    ],
    [
      'with an alias of nothing',
      rules('[{names: *none}]'),
      '3:17: rules[0].names is an alias of nothing: "*none"',
    ],
    [
      'with an alias before its anchor',
      rules('[{names: *all}, {names: &all [a.test]}]'),
      '3:17: rules[0].names is an alias of nothing: "*all"',
    ],
    [
      'with an alias of what holds it',
      rules('&all [{names: *all}]'),
      `3:14: rules[0].names[0] is a map: ${NAME}`,
    ],
    ['with an alias as key', `&key ${rules('[]')}\n*key : 1`, '4:1: the document has a key that is not text'],
    [
      'with what moves a terminal',
      rules('[{action: "\\e[31m\\nno"}]'),
      '3:18: rules[0].action is "\\x1b[31m\\x0ano": "allow", "deny" or "audit" is legal',
    ],
    [
      'of an unknown version',
      'apiVersion: l7egg/v2\nkind: EgressPolicy',
      '1:13: apiVersion "l7egg/v2" of kind "EgressPolicy" is not one that is read: "l7egg/v1" is legal',
    ],
  ];
  for (const [title, text, ...errors] of rows) {
    test(title, async () =>
      assert.deepEqual(
        await errorsOf(text),
        errors.map((error) => `p.yaml:${error}`),
      ),
    );
  }
});

describe('a bomb is refused soon, with few lines', () => {
  const DEEP = 'has maps and lists within each other more than 64 deep';
  const lists = (count: number): string => rules(`[${'{names: [7]}, '.repeat(count)}]`);
  const rows: readonly (readonly [title: string, text: string, first: RegExp])[] = [
    ['lists, 100,000 deep', '['.repeat(100_000), new RegExp(`^p\\.yaml:1:130: ${DEEP}$`, 'u')],
    ['maps, 100,000 deep', '{a: '.repeat(100_000), new RegExp(`^p\\.yaml:1:\\d+: ${DEEP}$`, 'u')],
    ['dashes, 100,000 deep', '- '.repeat(100_000), new RegExp(`^p\\.yaml:1:257: ${DEEP}$`, 'u')],
    [
      '100,000 aliases',
      rules(`[{names: &n [a.test]}${', {names: *n}'.repeat(100_000)}]`),
      /^p\.yaml:3:\d+: rules\[10001\]\.names is one alias too many: at most 10000 are legal$/u,
    ],
    [
      '3,000 aliases of 3,000 names',
      rules(
        `\n- names: &n [${Array.from({ length: 3_000 }, (_, index) => `h${index}.test`).join(', ')}]\n${'- names: *n\n'.repeat(3_000)}`,
      ),
      /^p\.yaml:\d+:10: rules\[34\]\.names is one alias too many: at most 100000 values may stand behind aliases$/u,
    ],
    [
      'a billion laughs',
      rules(
        `\n- &l0 [ha]\n${Array.from({ length: 9 }, (_, index) => `- &l${index + 1} [${Array(10).fill(`*l${index}`).join(', ')}]`).join('\n')}`,
      ),
      /^p\.yaml:4:7: rules\[0\] is a list: a rule is a map with /u,
    ],
    [
      '50,000 unknown keys',
      rules(`[]\n${Array.from({ length: 50_000 }, (_, index) => `k${index}: 1`).join('\n')}`),
      /^p\.yaml:4:1: the document has the unknown key "k0": /u,
    ],
    [
      '50,000 times a key',
      rules(`[]${'\nk: 1'.repeat(50_000)}`),
      /^p\.yaml:5:1: the key "k" stands twice in a map: once is legal$/u,
    ],
    ['20,000 errors', lists(20_000), /^p\.yaml:3:18: rules\[0\]\.names\[0\] is 7: /u],
    ['100,000 empty documents', '---\n'.repeat(100_000), /^p\.yaml:1:1: is empty: a policy is legal$/u],
    [
      'one line of 5 MB',
      rules(`[{names: [${'a'.repeat(5_000_000)}]}]`),
      /^p\.yaml:3:18: rules\[0\]\.names\[0\]: name "a{500,600}…a+" has a label of 5000000 characters: 1 to 63 are legal$/u,
    ],
    [
      '10 million values',
      rules(`[{cidrs: [${'1,'.repeat(10_000_000)}]}]`),
      /^p\.yaml:3:\d+: has too many values: a million or so in one file is legal$/u,
    ],
  ];
  for (const [title, text, first] of rows) {
    test(title, { timeout: SOON_MS }, async () => {
      const errors = await errorsOf(text);
      assert.match(errors[0] ?? '', first);
      assert.ok(errors.length <= MOST_LINES, `${errors.length} lines`);
      for (const line of errors) assert.ok(line.length <= 1_100, `${line.length} characters`);
    });
  }

  test('errors past the first hundred are counted', async () => {
    const errors = await errorsOf(lists(150));
    assert.equal(errors.length, MOST_LINES);
    assert.equal(errors.at(-1), 'and 50 errors more');
  });
});

test('a hundred thousand prefixes are read, and others get their turns', { timeout: SOON_MS }, async () => {
  const cidrs = Array.from(
    { length: 100_000 },
    (_, index) => `10.${index >> 16}.${(index >> 8) & 255}.${index & 255}`,
  );
  const text = rules(`[{cidrs: [${cidrs.join(', ')}]}]`);
  const turns: number[] = [];
  const { parts } = await readPolicies([{ file: 'p.yaml', text }], { lenient: false }, async (at) => {
    turns.push(at);
  });
  assert.equal(parts[0]?.rules.length, 100_000);
  assert.ok(turns.length >= 50, `${turns.length} turns`);
  assert.deepEqual(
    turns.toSorted((a, b) => a - b),
    turns,
  );
});
