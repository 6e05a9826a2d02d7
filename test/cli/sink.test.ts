import assert from 'node:assert/strict';
import { closeSync, fstatSync, mkdtempSync, openSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { levelMark, sinkOf } from '../../src/cli/sink.ts';

test('sinkOf takes for the journal what JOURNAL_STREAM names, and nothing else', () => {
  const directory = mkdtempSync(join(tmpdir(), 'l7egg-sink-'));
  const fd = openSync(join(directory, 'log'), 'w');
  try {
    const { dev, ino } = fstatSync(fd, { bigint: true });
    assert.equal(sinkOf(fd, { JOURNAL_STREAM: `${dev}:${ino}` }), 'journal');
    // Redirected since the variable was set.
    assert.equal(sinkOf(fd, { JOURNAL_STREAM: `${dev}:${ino + 1n}` }), 'file');
    assert.equal(sinkOf(fd, {}), 'file');
    assert.equal(sinkOf(fd, {}, true), 'terminal');
  } finally {
    closeSync(fd);
    rmSync(directory, { recursive: true });
  }
  assert.equal(sinkOf(fd, {}), 'other');
});

test('levelMark is the prefix of sd-daemon(3) for the journal only', () => {
  assert.equal(levelMark('journal', 'warning'), '<4>');
  for (const sink of ['terminal', 'file', 'other'] as const) assert.equal(levelMark(sink, 'warning'), '');
});
