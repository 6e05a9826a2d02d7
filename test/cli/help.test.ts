import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { COMMAND_NAMES, COMMANDS } from '../../src/cli/commands.ts';
import { FLAGS } from '../../src/cli/flags.ts';
import { helpText } from '../../src/cli/help.ts';
import { commandTopics, flagTopics } from '../../src/cli/topics.ts';

const PAGES = [undefined, 'all', ...COMMAND_NAMES] as const;

describe('helpText', () => {
  test('of nothing is a page: every command, every flag by name, and where there is more', () => {
    const text = helpText();
    for (const { usage, meaning } of Object.values(COMMANDS))
      assert.ok(text.includes(usage) && text.includes(meaning), usage);
    for (const { name } of FLAGS) assert.match(text, new RegExp(` -${name}(?: |$)`, 'mu'));
    assert.match(text, /^help COMMAND .* help all /mu);
    assert.ok(text.split('\n').length < 50);
  });

  test('of all has every command and every flag with what it means', () => {
    const text = helpText('all');
    for (const { usage, meaning } of Object.values(COMMANDS))
      assert.ok(text.includes(usage) && text.includes(meaning), usage);
    for (const { name, meaning } of FLAGS)
      assert.ok(text.includes(`  -${name}`) && text.includes(meaning), name);
  });

  test('of a command has its flags, all of them, and no others', () => {
    for (const about of COMMAND_NAMES) {
      const text = helpText(about);
      const wanted = FLAGS.filter(({ commands }) => commands.includes(about)).map(({ name }) => name);
      const found = [...text.matchAll(/^ {2}-([a-z-]+)/gmu)].map(([, name]) => name);
      assert.deepEqual(found.sort(), wanted.sort(), about);
    }
  });

  for (const about of PAGES)
    test(`stays within 110 columns: ${about ?? 'the first page'}`, () => {
      const text = helpText(about);
      for (const line of text.split('\n')) assert.ok(line.length <= 110, line);
      assert.ok(text.endsWith('\n') && !text.endsWith('\n\n'));
    });
});

describe('topics', () => {
  test('have every command once', () => {
    const named = commandTopics().flatMap(({ members }) => members);
    assert.deepEqual([...named].sort(), [...COMMAND_NAMES].sort());
  });

  test('have every flag once', () => {
    const named = flagTopics(FLAGS).flatMap(({ members }) => members);
    assert.equal(named.length, FLAGS.length);
    assert.deepEqual(new Set(named), new Set(FLAGS));
  });
});
