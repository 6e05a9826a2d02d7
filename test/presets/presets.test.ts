import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { readPolicies } from '../../src/formats/read-policies.ts';
import { isByAddress } from '../../src/policy/who.ts';
import { findCheckout } from '../lab/checkout.ts';

const FOLDER = join(findCheckout(), 'src', 'presets');
const FILES = readdirSync(FOLDER).filter((file) => file.endsWith('.yaml'));
/** The line in front of an item that says where its owner documents it; one stands for those that follow it. */
const SOURCE = /^ {6}# https?:\/\//u;

test('there are presets', () => assert.ok(FILES.length >= 25, String(FILES.length)));

for (const file of FILES) {
  const text = readFileSync(join(FOLDER, file), 'utf8');
  const name = `preset/${file.slice(0, -'.yaml'.length)}`;
  const read = () => readPolicies([{ file, text }], { lenient: false });

  describe(file, () => {
    test('says in its first line what it is for', () => assert.match(text, /^# \S.{9,79}\n/u));

    test('has a legal name', () => assert.match(file, /^[a-z][a-z0-9-]*\.yaml$/u));

    test('is read without remarks, as a policy of its name for whom the flags name', async () => {
      const { parts, remarks } = await read();
      assert.deepEqual(remarks, []);
      const [part, ...others] = parts;
      assert.deepEqual(others, []);
      assert.deepEqual(Object.keys(part ?? {}).sort(), ['name', 'restricts', 'rules']);
      assert.equal(part?.name, name);
    });

    test('only allows names, on ports that it names', async () => {
      const { parts } = await read();
      const rules = parts.flatMap((part) => part.rules);
      assert.ok(rules.length > 0);
      for (const rule of rules) {
        assert.equal(rule.action, 'allow');
        assert.equal(rule.source, name);
        assert.ok(!isByAddress(rule.who));
        assert.notEqual(rule.who.kind, 'suffix'); // any number of labels
        assert.ok(rule.ports.length > 0);
        for (const { low, high, l4Proto } of rule.ports) assert.ok(low === high && [6, 17].includes(l4Proto));
      }
    });

    test('has no rule twice', async () => {
      const { parts } = await read();
      const said = parts.flatMap(({ rules }) => rules.map((rule) => JSON.stringify(rule)));
      assert.deepEqual([...new Set(said)], said);
    });

    test('says where each list of names is documented', () => {
      const lines = text.split('\n');
      const lists = lines.flatMap((line, index) => (line === '    names:' ? [lines[index + 1] ?? ''] : []));
      assert.ok(lists.length > 0);
      for (const line of lists) assert.match(line, SOURCE);
    });
  });
}
