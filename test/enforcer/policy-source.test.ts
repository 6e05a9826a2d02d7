import assert from 'node:assert/strict';
import { mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import type { LoadedPolicies } from '../../src/enforcer/policy-source.ts';
import { NothingAppliesError, UsageError } from '../../src/errors.ts';
import { readerOf } from './reader.ts';

const HEAD = 'apiVersion: l7egg/v1\nkind: EgressPolicy\n';
const GOOD = `${HEAD}rules: [{names: [a.test]}]\n`;
const OTHER = `${HEAD}rules: [{names: [b.test]}]\n`;

const namesOf = ({ policies }: LoadedPolicies): string[] =>
  policies.flatMap(({ policy }) =>
    policy.rules.map(({ who }) => (who.kind === 'exact' ? who.name : who.kind)),
  );

describe('PolicyReader refuses a file that was read before, and reads it again when it is right again:', () => {
  const spoilings: readonly (readonly [title: string, spoil: (file: string) => void, error: RegExp])[] = [
    ['half-written', (file) => writeFileSync(file, GOOD.slice(0, -8)), /^\S+:3:\d+: is not legal YAML: /u],
    ['emptied', (file) => writeFileSync(file, ''), /^\S+:1:1: is empty: a policy is legal$/u],
    ['vanished', (file) => rmSync(file), /^Cannot read the policy file "\S+": ENOENT$/u],
    ['moved away', (file) => renameSync(file, `${file}~`), /ENOENT$/u],
    [
      'binary',
      (file) => writeFileSync(file, Buffer.from([0x7f, 0x45, 0x4c, 0x46, 0])),
      /^\S+:1:1: is binary: /u,
    ],
    [
      'of another encoding',
      (file) => writeFileSync(file, Buffer.from(GOOD, 'utf16le')),
      /^\S+:1:1: is binary: /u,
    ],
    [
      'of an unknown key',
      (file) => writeFileSync(file, `${GOOD}rule: []`),
      /^\S+:4:1: the document has the unknown key "rule", did you mean "rules"\? /u,
    ],
  ];
  for (const [title, spoil, error] of spoilings) {
    test(title, async (context) => {
      const folder = mkdtempSync(join(tmpdir(), 'l7egg-policy-source-'));
      context.after(() => rmSync(folder, { recursive: true }));
      const file = join(folder, 'p.yaml');
      writeFileSync(file, GOOD);
      const reader = readerOf(file);
      const before = await reader.load();
      assert.deepEqual(namesOf(before), ['a.test']);
      spoil(file);
      await assert.rejects(reader.load(), (thrown) => {
        assert.ok(thrown instanceof UsageError);
        assert.match(thrown.message, error);
        return true;
      });
      assert.deepEqual(namesOf(before), ['a.test']);
      writeFileSync(file, OTHER);
      assert.deepEqual(namesOf(await reader.load()), ['b.test']);
    });
  }
});

test('PolicyReader refuses policies of which none is for the subject', async (context) => {
  const folder = mkdtempSync(join(tmpdir(), 'l7egg-policy-source-'));
  context.after(() => rmSync(folder, { recursive: true }));
  const file = join(folder, 'p.yaml');
  writeFileSync(file, 'apiVersion: v1\nkind: List\nitems: []');
  await assert.rejects(readerOf(file).load(), NothingAppliesError);
});

test('PolicyReader counts remarks past the first hundred', async (context) => {
  const folder = mkdtempSync(join(tmpdir(), 'l7egg-policy-source-'));
  context.after(() => rmSync(folder, { recursive: true }));
  const file = join(folder, 'p.yaml');
  writeFileSync(file, `${HEAD}rules: [{cidrs: [${Array(150).fill('10.1.0.0/8').join(', ')}]}]`);
  const { policies, remarks } = await readerOf(file).load();
  assert.equal(policies[0]?.policy.rules.length, 1);
  assert.equal(remarks.length, 101);
  assert.match(remarks[0] ?? '', /has bits set past its length/u);
  assert.equal(remarks.at(-1), 'and 199 remarks more'); // 150 masked, 149 said before
});
