import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { parseExposition, sumOf } from './exposition.ts';

const HEAD = '# HELP a A.\n# TYPE a counter\n';

describe('parseExposition', () => {
  test('reads what is legal', () => {
    const metrics = parseExposition(
      `${HEAD}a{b="c",d="\\"\\\\\\n"} 1\na 2\n\n# HELP e E\n# TYPE e gauge\ne -1e-3\n`,
    );
    assert.equal(metrics.get('a')?.samples[0]?.labels.get('d'), '"\\\n');
    assert.equal(sumOf(metrics, 'a'), 3);
    assert.equal(sumOf(metrics, 'a', { b: 'c' }), 1);
    assert.equal(sumOf(metrics, 'e'), -0.001);
  });

  const wrong: readonly (readonly [what: string, text: string])[] = [
    ['no line break at the end', `${HEAD}a 1`],
    ['no TYPE', '# HELP a A.\na 1\n'],
    ['no HELP', '# TYPE a counter\na 1\n'],
    ['an unknown type', '# HELP a A.\n# TYPE a number\na 1\n'],
    ['a second TYPE', `${HEAD}a 1\n${HEAD}`],
    ['a sample of another metric', `${HEAD}b 1\n`],
    ['a series twice', `${HEAD}a{b="c"} 1\na{b="c"} 2\n`],
    ['a series twice, in another order', `${HEAD}a{b="c",d="e"} 1\na{d="e",b="c"} 2\n`],
    ['a label twice', `${HEAD}a{b="c",b="d"} 1\n`],
    ['a quote that is not escaped', `${HEAD}a{b="c"d"} 1\n`],
    ['a line break that is not escaped', `${HEAD}a{b="c\nd"} 1\n`],
    ['an unknown escape', `${HEAD}a{b="\\t"} 1\n`],
    ['a label name that is none', `${HEAD}a{b-c="d"} 1\n`],
    ['no value', `${HEAD}a\n`],
    ['a value that is none', `${HEAD}a one\n`],
    ['a time', `${HEAD}a 1 2\n`],
  ];
  for (const [what, text] of wrong) test(`refuses ${what}`, () => assert.throws(() => parseExposition(text)));
});
