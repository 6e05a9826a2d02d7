import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { Gauge } from 'prom-client';
import { Turns } from '../../src/metrics/turns.ts';
import { writeText } from '../../src/metrics/write-text.ts';
import { parseExposition } from './exposition.ts';

async function write(help: string, texts: readonly string[], value = 1): Promise<string> {
  const gauge = new Gauge({ name: 'test_metric', help, labelNames: ['text', 'more'], registers: [] });
  for (const text of texts) gauge.set({ text, more: 'b' }, value);
  return writeText(await gauge.get(), new Turns(0));
}

describe('writeText', () => {
  const texts = [
    '',
    'plain',
    'a"b',
    'a\\b',
    'a\nb',
    '\\n',
    '"',
    '\\',
    '\\"',
    'a,b="c"} 2',
    'ünïcode 🥚',
    '#',
    '{}',
  ];
  for (const text of texts)
    test(`label ${JSON.stringify(text)} is read back as it was`, async () => {
      const metric = parseExposition(await write('Help.', [text])).get('test_metric');
      assert.deepEqual(
        metric?.samples.map(({ labels, value }) => [...labels, value]),
        [[['text', text], ['more', 'b'], 1]],
      );
    });

  test('help is read back as it was', async () => {
    const help = 'A "help" with \\ and\na second line.';
    assert.equal(parseExposition(await write(help, [])).get('test_metric')?.help, help);
  });

  const values: readonly (readonly [value: number, text: string])[] = [
    [0, '0'],
    [1.5, '1.5'],
    [1e21, '1e+21'],
    [Number.NaN, 'NaN'],
    [Number.POSITIVE_INFINITY, '+Inf'],
    [Number.NEGATIVE_INFINITY, '-Inf'],
  ];
  for (const [value, text] of values)
    test(`${value} is written ${text}`, async () => {
      const gauge = { name: 'x', help: 'h', values: [{ value, labels: {} }] };
      const template = await new Gauge({ name: 'x', help: 'h', registers: [] }).get();
      const written = await writeText({ ...template, ...gauge }, new Turns(0));
      assert.equal(written, `# HELP x h\n# TYPE x gauge\nx ${text}\n`);
      parseExposition(written);
    });
});
