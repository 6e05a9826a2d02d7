import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { copyFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { CompiledMain, cachePath } from '../../src/boot/compiled-main.ts';

const directory = mkdtempSync(join(tmpdir(), 'l7egg-boot-'));
after(() => rmSync(directory, { recursive: true }));

/** A bundle as the build stamps it; it prints `text`. */
function writeMain(name: string, stamp: string, text: string): string {
  const path = join(directory, `${name}.cjs`);
  writeFileSync(path, `// ${stamp}\nrequire('node:fs').writeSync(1, ${JSON.stringify(text)});\n`);
  return path;
}

test('CompiledMain takes code from the cache of the same bundle', () => {
  const path = writeMain('same', 'a'.repeat(64), 'one');
  const cache = new CompiledMain(path).toCache();
  assert.equal(new CompiledMain(path, cache).isFromCache, true);
});

test('CompiledMain takes no code from the cache of a bundle as long, with another stamp', () => {
  const other = new CompiledMain(writeMain('other', 'b'.repeat(64), 'two')).toCache();
  assert.equal(new CompiledMain(writeMain('this', 'a'.repeat(64), 'one'), other).isFromCache, false);
});

for (const [what, spoil] of [
  ['cut short', (cache: Buffer) => cache.subarray(0, cache.length / 2)],
  ['empty', () => Buffer.alloc(0)],
  [
    'zero from its middle on',
    (cache: Buffer) => Buffer.concat([cache.subarray(0, cache.length / 2), Buffer.alloc(cache.length / 2)]),
  ],
  [
    'of another V8',
    (cache: Buffer) => {
      const spoilt = Buffer.from(cache);
      spoilt.writeUInt32LE(~spoilt.readUInt32LE(68 + 4) >>> 0, 68 + 4); // the version, behind the stamp and a magic number
      return spoilt;
    },
  ],
] as const) {
  test(`the command runs with a cache that is ${what}`, () => {
    const path = writeMain('main', 'c'.repeat(64), 'it runs');
    copyFileSync('dist/l7egg-cli.cjs', join(directory, 'l7egg-cli.cjs'));
    writeFileSync(cachePath(path), spoil(new CompiledMain(path).toCache()));
    const { status, stdout, stderr } = spawnSync(process.execPath, [join(directory, 'l7egg-cli.cjs')], {
      encoding: 'utf8',
    });
    assert.deepEqual({ status, stdout, stderr }, { status: 0, stdout: 'it runs', stderr: '' });
  });
}

test('the build has made a cache that this node takes', () => {
  const cache = readFileSync('dist/main.cache');
  assert.equal(new CompiledMain('dist/main.cjs', cache).isFromCache, true);
});

test('the command refuses an old node with exit 3 and one sentence', () => {
  const pretend = join(directory, 'pretend.cjs');
  writeFileSync(
    pretend,
    `Object.defineProperty(process, 'versions', { value: { node: '18.19.0' } });
    Object.defineProperty(process, 'version', { value: 'v18.19.0' });`,
  );
  const { status, stdout, stderr } = spawnSync(
    process.execPath,
    ['-r', pretend, 'dist/l7egg-cli.cjs', '-version'],
    { encoding: 'utf8' },
  );
  assert.equal(status, 3);
  assert.equal(stdout, '');
  assert.equal(stderr, 'l7egg-cli: Cannot run on Node.js "v18.19.0": version 20 or newer is needed.\n');
});
