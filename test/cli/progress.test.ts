/* Reading that takes more than a second is shown on a terminal, and nowhere else. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { findCli } from '../lab/checkout.ts';

/** About as many as there may be. */
const ADDRESSES = 130_000;

describe('progress of reading', () => {
  let directory: string;
  before(() => {
    directory = mkdtempSync(join(tmpdir(), 'l7egg-progress-'));
    const cidrs = Array.from({ length: ADDRESSES }, (_, n) => `10.${n >> 16}.${(n >> 8) & 255}.${n & 255}`);
    const rule = `rules:\n  - cidrs:\n${cidrs.map((cidr) => `      - ${cidr}\n`).join('')}`;
    writeFileSync(join(directory, 'long.yaml'), `apiVersion: l7egg/v1\nkind: EgressPolicy\n${rule}`);
    writeFileSync(
      join(directory, 'short.yaml'),
      'apiVersion: l7egg/v1\nkind: EgressPolicy\nrules: [{cidrs: [10.0.0.1]}]\n',
    );
  });
  after(() => rmSync(directory, { recursive: true }));

  const check = (file: string) => `'${findCli()}' check -policy='${join(directory, file)}'`;
  const onTerminal = (command: string) =>
    execFileSync('script', ['-qec', command, '/dev/null'], { encoding: 'utf8' });

  test('a long one on a terminal: shown, and wiped when it is over', () => {
    const shown = onTerminal(check('long.yaml'));
    assert.match(shown, /\rreading policies: \d+ %/u);
    assert.ok(
      shown.endsWith(`\r\u001b[Kvalid\r\n  host: ${ADDRESSES} rules, dns open\r\n`),
      shown.slice(-200),
    );
  });

  test('a long one elsewhere: not', () =>
    assert.equal(
      onTerminal(`${check('long.yaml')} 2>&1 | cat`),
      `valid\r\n  host: ${ADDRESSES} rules, dns open\r\n`,
    ));

  test('a short one on a terminal: not', () =>
    assert.equal(onTerminal(check('short.yaml')), 'valid\r\n  host: 1 rule, dns open\r\n'));
});
