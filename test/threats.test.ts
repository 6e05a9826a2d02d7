/*
 * threats.md, the index of what l7egg must withstand, is right about the tests that prove it, and what can't be held is
 * said to those who use it.
 */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { hasTitle, readTitles } from './source-titles.ts';
import { type Documents, findFaults } from './threat-index.ts';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const read = (path: string) => readFileSync(`${ROOT}${path}`, 'utf8');

const documents: Documents = {
  index: read('test/threats.md'),
  readme: read('README.md'),
  security: read('SECURITY.md'),
  doctor: read('src/enforcer/host-report.ts'),
  source: (file) => {
    try {
      return read(file);
    } catch {
      return undefined; // not there: a fault of the index
    }
  },
};

test('threats.md: every line has its tests, or is said not to be held', () => {
  assert.deepEqual(findFaults(documents), []);
});

describe('findFaults tells of', () => {
  const SOURCE = "test('one', f);\ntest(`row {{what} passes`, f);\n[{ what: 'a' }];".replace('{{', '$' + '{');
  const line = (proof: string): Documents => ({
    ...documents,
    index: `| attempt | outcome | proof |\n|---|---|---|\n| a | b | ${proof} |\n`,
    source: (file) => (file === 'test/x.test.ts' ? SOURCE : undefined),
  });
  const rows: readonly (readonly [what: string, proof: string, fault: RegExp | undefined])[] = [
    ['nothing where the title is there', 'tc `test/x.test.ts › one`', undefined],
    ['nothing where a row of a template is there', 'tc `test/x.test.ts › row a passes`', undefined],
    ['nothing where a hole is left open', 'tc `test/x.test.ts › row … passes`', undefined],
    ['a line without a test', '', /neither/u],
    ['words that are no test', 'it is so', /neither/u],
    ['a file that is not there', 'tc `test/y.test.ts › one`', /no file/u],
    ['a title that is not there', 'tc `test/x.test.ts › two`', /no title/u],
    ['a row that is not there', 'tc `test/x.test.ts › row b passes`', /no title/u],
    ['a mode that is none', 'tv `test/x.test.ts › one`', /no mode/u],
    ['one fault among what is right', 'tc `test/x.test.ts › one`<br>run `test/x.test.ts › two`', /no title/u],
    ['a limit that nobody is told of', 'not held (Nobody says this): why', /README/u],
    ['a limit without a reason', 'not held (Data in DNS)', /reason/u],
    ['nothing where a limit is told', 'not held (Data in DNS): why', undefined],
    ['a limit that doctor is to tell and does not', 'not held, doctor (socket activation): why', /doctor/u],
  ];
  for (const [what, proof, fault] of rows) {
    test(what, () => {
      const faults = findFaults(line(proof));
      if (fault === undefined) assert.deepEqual(faults, []);
      else assert.match(faults.join('\n'), fault);
    });
  }

  test('an index without lines', () => {
    assert.match(findFaults({ ...documents, index: '# nothing\n' }).join('\n'), /no line/u);
  });
  test('a table that lost a column', () => {
    assert.match(
      findFaults({ ...documents, index: '| a | b |\n|---|---|\n| c | d |\n' }).join('\n'),
      /3 columns/u,
    );
  });
});

describe('readTitles', () => {
  const source = [
    "// test('in a comment', f)",
    "test('plain: it\\'s so', f);",
    '  test(`{{count} of {{rows.map((r) => `x {{r}`).join()} left`, f);'.replaceAll('{{', '$' + '{'),
    "const rows = ['not called'];",
  ].join('\n');
  const rows: readonly (readonly [title: string, isThere: boolean])[] = [
    ["plain: it's so", true],
    ['… of … left', true],
    ['in a comment', false],
    ['not called', false],
    ['… of … right', false],
  ];
  for (const [title, isThere] of rows) {
    test(`${isThere ? 'finds' : 'does not find'} ${title}`, () =>
      assert.equal(hasTitle(readTitles(source), title), isThere));
  }
  test('takes any literal where titles are values', () =>
    assert.equal(
      hasTitle(readTitles(`${source}\nfor (const title of rows) test(title, f);`), 'not called'),
      true,
    ));
});
