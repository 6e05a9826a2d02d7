import assert from 'node:assert/strict';
import {
  mkdirSync,
  mkdtempSync,
  realpathSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { FileWatch, placesOf } from '../../src/enforcer/file-watch.ts';
import { until } from '../lab/wait.ts';

let root: string;

beforeEach(() => {
  root = realpathSync(mkdtempSync(join(tmpdir(), 'l7egg-watch-')));
});
afterEach(() => rmSync(root, { recursive: true }));

/** Places below the scratch directory, as `{ 'a': ['policy.yaml'] }`. */
function places(...paths: readonly string[]): { [directory: string]: string[] } {
  const found = placesOf(paths.map((path) => join(root, path)));
  return Object.fromEntries(
    [...found].map(([directory, names]) => [directory.slice(root.length + 1), [...names].sort()]),
  );
}

describe('placesOf', () => {
  test('of a file is its directory', () => {
    mkdirSync(join(root, 'a/b'), { recursive: true });
    writeFileSync(join(root, 'a/b/policy.yaml'), '');
    assert.deepEqual(places('a/b/policy.yaml'), { 'a/b': ['policy.yaml'] });
  });

  test('of a file that is not there, in a directory that is not there, is where it would be', () => {
    assert.deepEqual(places('a/policy.yaml'), { a: ['policy.yaml'] });
  });

  test('of a relative link holds the link and what it leads to', () => {
    mkdirSync(join(root, 'a'));
    symlinkSync('../a/real.yaml', join(root, 'a/link.yaml'));
    assert.deepEqual(places('a/link.yaml'), { a: ['link.yaml', 'real.yaml'] });
  });

  test('of an absolute link holds both directories', () => {
    mkdirSync(join(root, 'a'));
    mkdirSync(join(root, 'b'));
    symlinkSync(join(root, 'b/real.yaml'), join(root, 'a/link.yaml'));
    assert.deepEqual(places('a/link.yaml'), { a: ['link.yaml'], b: ['real.yaml'] });
  });

  test('of a ConfigMap holds the directory with ..data, and that of the version', () => {
    mkdirSync(join(root, 'map/..2024_1'), { recursive: true });
    writeFileSync(join(root, 'map/..2024_1/policy.yaml'), '');
    symlinkSync('..2024_1', join(root, 'map/..data'));
    symlinkSync('..data/policy.yaml', join(root, 'map/policy.yaml'));
    assert.deepEqual(places('map/policy.yaml'), {
      map: ['..data', 'policy.yaml'],
      'map/..2024_1': ['policy.yaml'],
    });
  });

  test('of a link that leads nowhere holds where it would lead', () => {
    symlinkSync('gone/policy.yaml', join(root, 'link.yaml'));
    assert.deepEqual(places('link.yaml'), { '': ['link.yaml'], gone: ['policy.yaml'] });
  });

  test('of links that lead to each other ends', () => {
    symlinkSync('b', join(root, 'a'));
    symlinkSync('a', join(root, 'b'));
    assert.deepEqual(places('a/policy.yaml'), { '': ['a', 'b'], a: ['policy.yaml'] });
  });

  test('of two files in one directory is one place', () => {
    assert.deepEqual(places('a.yaml', 'b.yaml'), { '': ['a.yaml', 'b.yaml'] });
  });
});

describe('FileWatch', () => {
  const LIMIT_MS = 5_000;

  test('tells of a change, also after a link was turned, and of no other file', async () => {
    for (const name of ['a', 'b']) mkdirSync(join(root, name));
    for (const name of ['a', 'b']) writeFileSync(join(root, name, 'policy.yaml'), '1');
    symlinkSync('a', join(root, 'now'));
    let told = 0;
    using watch = new FileWatch([join(root, 'now/policy.yaml')], () => {
      told += 1;
    });
    const untilTold = (count: number, what: string) =>
      until(() => told >= count, { limitMs: LIMIT_MS, what });
    writeFileSync(join(root, 'a/other.yaml'), '2');
    writeFileSync(join(root, 'a/policy.yaml'), '2');
    await untilTold(1, 'a write');
    symlinkSync('b', join(root, 'new'));
    renameSync(join(root, 'new'), join(root, 'now'));
    await untilTold(2, 'a turned link');
    writeFileSync(join(root, 'b/policy.yaml'), '2');
    await untilTold(3, 'a write behind the turned link');
    assert.equal(told, 3);
    watch.close();
    watch.close();
  });
});
