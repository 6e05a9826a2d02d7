import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { COMMAND_NAMES } from '../../src/cli/commands.ts';
import { FLAGS } from '../../src/cli/flags.ts';
import { findCheckout } from '../lab/checkout.ts';

const README = readFileSync(join(findCheckout(), 'README.md'), 'utf8');

/* The first cells of the table below a heading. */
function titles(heading: string): string {
  const [, section = ''] = README.split(`\n## ${heading}\n`);
  const [body = ''] = section.split('\n## ');
  return [...body.matchAll(/^\| (.*?) (?<!\\)\| /gmu)].map(([, title]) => title).join('\n');
}

describe("README's tables", () => {
  for (const name of COMMAND_NAMES)
    test(`have the command ${name}`, () =>
      assert.match(titles('Commands'), new RegExp(`\`(?:l7egg-cli )?\\[?${name}[\\] \`]`, 'u')));

  for (const name of new Set(FLAGS.map((flag) => flag.name)))
    test(`have the flag -${name}`, () =>
      assert.match(`${titles('Commands')}\n${titles('Flags')}`, new RegExp(`[\`[ ]-${name}[\`\\]= ]`, 'u')));
});
