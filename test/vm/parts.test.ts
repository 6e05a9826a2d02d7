import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { judgeTap, type Part, partsFor } from '../../scripts/vm/parts.ts';

const partOf = (release: string, name: string): Part => {
  const found = partsFor(release, ['build/test/bpf/a.root.test.js'], judgeTap).find(
    (part) => part.name === name,
  );
  assert.ok(found, `${release} has a part "${name}"`);
  return found;
};
const judge = (name: string, code: number, output: string) =>
  partOf('6.1.0-1-amd64', name).judge({ code, output });

test('kernels before 6.1 are to refuse, and nothing else', () => {
  const names = (release: string) => partsFor(release, [], judgeTap).map(({ name }) => name);
  assert.deepEqual(names('5.10.0-32-amd64'), ['refused']);
  assert.deepEqual(names('6.0.1'), ['refused']);
  assert.deepEqual(names('6.1.0-1'), names('7.3.4'));
  assert.ok(!names('6.12.1').includes('refused'));
});

describe('test files of a guest', () => {
  const GOOD = '     packets at random, seed 7\na.root.test.js: pass 3, fail 0, not run 0, 9 s\n';

  test('pass when all passed, with their sum and what they say of seeds', () =>
    assert.deepEqual(judge('bpf', 0, `${GOOD}b.root.test.js: pass 4, fail 0, not run 0, 2 s\n`), {
      passed: true,
      counts: '7 tests',
      said: ['packets at random, seed 7'],
    }));

  for (const [what, code, output, counts] of [
    ['one failed', 1, `${GOOD}b.root.test.js: pass 4, fail 1, not run 0, 2 s\n`, '7 tests, 1 failed'],
    ['one was not run', 1, `${GOOD}b.root.test.js: pass 4, fail 0, not run 2, 2 s\n`, '7 tests, 2 not run'],
    ['the guest ended badly', 1, GOOD, '3 tests'],
    ['there was none', 0, '', '0 tests'],
  ] as const) {
    test(`fail when ${what}`, () => {
      const judgement = judge('netns', code, output);
      assert.equal(judgement.passed, false);
      assert.equal(judgement.counts, counts);
    });
  }
});

test('TAP is counted by its last lines', () => {
  const tap = 'ok 1 - a\n1..1\n# tests 2\n# pass 2\n# fail 0\n# cancelled 0\n# skipped 0\n# todo 0\n';
  assert.equal(judgeTap({ code: 0, output: tap }).passed, true);
  assert.equal(judgeTap({ code: 1, output: tap }).passed, false);
  assert.equal(judgeTap({ code: 0, output: tap.replace('skipped 0', 'skipped 1') }).passed, false);
});

test('loading needs programs that were loaded', () => {
  const line = 'ok   l7egg_egress       verified   25463  translated   6975  jited  32901    1076 ms\n';
  assert.deepEqual(judge('load', 0, line + line), { passed: true, counts: '2 programs', said: [] });
  assert.equal(judge('load', 0, '').passed, false);
  assert.equal(judge('load', 1, line).passed, false);
});

test('a refusal is exit code 3 and the sentence', () => {
  const refused = partOf('5.10.0', 'refused');
  const sentence = 'l7egg-cli: Cannot do this: ENOPROTOOPT: Linux 6.1 or newer is needed, this is 5.10.0\n';
  assert.equal(refused.judge({ code: 3, output: sentence }).passed, true);
  assert.equal(refused.judge({ code: 1, output: sentence }).passed, false);
  assert.equal(refused.judge({ code: 3, output: 'l7egg-cli: Cannot do this: EINVAL\n' }).passed, false);
});
