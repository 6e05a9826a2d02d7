import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { type FlagShape, normaliseArgs } from '../../src/cli/normalise.ts';
import { UsageError } from '../../src/errors.ts';

const FLAGS: readonly FlagShape[] = [
  { name: 'iface', kind: 'list' },
  { name: 'cn', kind: 'list' },
  { name: 'instance', kind: 'value' },
  { name: 'dns', kind: 'choice', choices: ['open', 'strict'] },
  { name: 'audit', kind: 'boolean' },
  { name: 'help', kind: 'boolean', alias: 'h' },
];

interface Sorted {
  readonly values?: Readonly<Record<string, readonly string[]>>;
  readonly words?: readonly string[];
  readonly rest?: readonly string[];
}

describe('normaliseArgs takes', () => {
  const rows: readonly (readonly [argv: readonly string[], sorted: Sorted])[] = [
    [[], {}],
    [['-iface=eth0'], { values: { iface: ['eth0'] } }],
    [['--iface=eth0'], { values: { iface: ['eth0'] } }],
    [['-iface', 'eth0'], { values: { iface: ['eth0'] } }],
    [['--iface', 'eth0'], { values: { iface: ['eth0'] } }],
    [['-cn=a,b', '--cn', 'c', '-cn=d'], { values: { cn: ['a', 'b', 'c', 'd'] } }],
    [['-cn=a=b'], { values: { cn: ['a=b'] } }],
    [['-cn= a '], { values: { cn: [' a '] } }],
    [['-cn=-x'], { values: { cn: ['-x'] } }],
    [['-cn=--'], { values: { cn: ['--'] } }],
    [['-cn', '-'], { values: { cn: ['-'] } }],
    [['-cn', '*'], { values: { cn: ['*'] } }],
    [['-cn=a\nb'], { values: { cn: ['a\nb'] } }],
    [['-instance=a,b'], { values: { instance: ['a,b'] } }],
    [['-instance=a', '-instance', 'a'], { values: { instance: ['a'] } }],
    [['-dns=strict'], { values: { dns: ['strict'] } }],
    [['-audit'], { values: { audit: ['true'] } }],
    [['--audit=false'], { values: { audit: ['false'] } }],
    [['-audit', 'status'], { values: { audit: ['true'] }, words: ['status'] }],
    [['-h'], { values: { help: ['true'] } }],
    [['status', '-instance', 'a', 'x'], { values: { instance: ['a'] }, words: ['status', 'x'] }],
    [['-instance=a', 'status'], { values: { instance: ['a'] }, words: ['status'] }],
    [['run', '--', '-iface=x', '--', 'y'], { words: ['run'], rest: ['-iface=x', '--', 'y'] }],
    [['-', ''], { words: ['-', ''] }],
  ];
  for (const [argv, { values = {}, words = [], rest = [] }] of rows) {
    test(JSON.stringify(argv), () => {
      const sorted = normaliseArgs(argv, FLAGS);
      assert.deepEqual({ ...sorted, values: Object.fromEntries(sorted.values) }, { values, words, rest });
    });
  }
});

describe('normaliseArgs refuses', () => {
  const rows: readonly (readonly [argv: readonly string[], message: string])[] = [
    [['-ifcae=eth0'], 'unknown flag "-ifcae=eth0", did you mean "-iface"?'],
    [['--Iface=eth0'], 'unknown flag "--Iface=eth0", did you mean "-iface"?'],
    [['-inst=a'], 'unknown flag "-inst=a", did you mean "-instance"?'],
    [['-bogus'], 'unknown flag "-bogus": -help lists the legal ones'],
    [['-x'], 'unknown flag "-x": -help lists the legal ones'],
    [['---iface=x'], 'unknown flag "---iface=x", did you mean "-iface"?'],
    [['-iface'], 'flag -iface needs a value'],
    [['-iface='], 'flag -iface needs a value'],
    [['-iface', ''], 'flag -iface needs a value'],
    [['-iface', '--', 'x'], 'flag -iface needs a value'],
    [['-audit='], 'flag -audit needs a value'],
    [['-dns'], 'flag -dns needs a value (open or strict)'],
    [
      ['-iface', '-audit'],
      'flag -iface needs a value: a value that begins with a dash is written -iface=-audit',
    ],
    [['-cn=a,'], 'flag -cn has an empty item in "a,": one comma between items is legal'],
    [['-cn=a,,b'], 'flag -cn has an empty item in "a,,b": one comma between items is legal'],
    [['-cn=,'], 'flag -cn has an empty item in ",": one comma between items is legal'],
    [['-dns=STRICT'], 'flag -dns has the value "STRICT": open or strict is legal'],
    [['-audit=yes'], 'flag -audit has the value "yes": true or false is legal'],
    [['-instance=a', '-instance=b'], 'flag -instance is given twice, with "a" and "b": one value is legal'],
    [['-audit', '-audit=false'], 'flag -audit is given twice, with "true" and "false": one value is legal'],
  ];
  for (const [argv, message] of rows) {
    test(JSON.stringify(argv), () => {
      assert.throws(() => normaliseArgs(argv, FLAGS), new UsageError(message));
    });
  }
});
