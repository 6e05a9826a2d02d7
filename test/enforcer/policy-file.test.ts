import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import {
  mkdirSync,
  mkdtempSync,
  rmSync,
  symlinkSync,
  truncateSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { readPolicyFile } from '../../src/enforcer/policy-source.ts';
import { PolicyFileError, UsageError } from '../../src/errors.ts';
import { readerOf } from './reader.ts';

const TEXT = "apiVersion: l7egg/v1\nkind: EgressPolicy\nrules: [{cidrs: ['192.0.2.1']}]\n";

let root: string;

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'l7egg-source-'));
});
afterEach(() => rmSync(root, { recursive: true }));

describe('readPolicyFile', () => {
  test('answers the text', () => {
    writeFileSync(join(root, 'a'), 'über: 1\n');
    assert.deepEqual(readPolicyFile(join(root, 'a'), false), { text: 'über: 1\n', isPipe: false });
  });

  const bad: readonly {
    readonly what: string;
    readonly make: (path: string) => void;
    readonly says: RegExp;
  }[] = [
    { what: 'one that is not there', make: () => {}, says: /ENOENT/ },
    { what: 'a directory', make: (path) => mkdirSync(path), says: /it is no file/ },
    { what: 'a device', make: (path) => symlinkSync('/dev/zero', path), says: /it is no file/ },
    { what: 'links in a circle', make: (path) => symlinkSync(path, path), says: /ELOOP/ },
    {
      what: 'one that is too large',
      make: (path) => {
        writeFileSync(path, '');
        truncateSync(path, 64 * 1024 * 1024 + 1);
      },
      says: /more than 67108864 bytes/,
    },
    {
      what: 'a pipe that nobody writes to, where none may be',
      make: (path) => execFileSync('mkfifo', [path]),
      says: /it is a pipe now/,
    },
  ];
  for (const { what, make, says } of bad) {
    test(`refuses ${what}, and names it`, () => {
      const path = join(root, 'policy.yaml');
      make(path);
      assert.throws(
        () => readPolicyFile(path, false),
        (thrown) =>
          thrown instanceof UsageError && says.test(thrown.message) && thrown.message.includes(path),
      );
    });
  }

  test('refuses what is no UTF-8, with its place', () => {
    const path = join(root, 'policy.yaml');
    writeFileSync(path, Buffer.from([0x61, 0xff, 0xfe]));
    assert.throws(
      () => readPolicyFile(path, false),
      (thrown) => thrown instanceof PolicyFileError && thrown.message.startsWith(`${path}:1:1: `),
    );
  });
});

describe('PolicyReader.load', () => {
  test('answers the very same as long as the files hold the same, and something else when one does not', async () => {
    const path = join(root, 'policy.yaml');
    writeFileSync(path, TEXT);
    const reader = readerOf(path);
    const first = await reader.load();
    unlinkSync(path);
    writeFileSync(path, TEXT);
    assert.equal(await reader.load(), first);
    writeFileSync(path, TEXT.replace('192.0.2.1', '192.0.2.2'));
    const second = await reader.load();
    assert.notEqual(second, first);
    assert.equal(second.policies[0]?.policy.rules.length, 1);
  });

  test('takes no bad file for the last one', async () => {
    const path = join(root, 'policy.yaml');
    writeFileSync(path, TEXT);
    const reader = readerOf(path);
    const first = await reader.load();
    writeFileSync(path, 'nonsense');
    await assert.rejects(reader.load(), PolicyFileError);
    await assert.rejects(reader.load(), PolicyFileError);
    writeFileSync(path, TEXT);
    assert.deepEqual(await reader.load(), first);
  });

  test('reads a pipe once', async () => {
    const path = join(root, 'pipe');
    const file = join(root, 'file.yaml');
    writeFileSync(file, TEXT);
    execFileSync('mkfifo', [path]);
    spawn('sh', ['-c', 'exec cat "$0" > "$1"', file, path], { stdio: 'ignore' });
    const reader = readerOf(path);
    const first = await reader.load();
    assert.equal(await reader.load(), first);
    assert.equal(first.policies[0]?.policy.rules.length, 1);
  });
});
