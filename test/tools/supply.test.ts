import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { findCheckout } from '../lab/checkout.ts';

interface Locked {
  readonly resolved?: string;
  readonly integrity?: string;
  readonly hasInstallScript?: boolean;
  readonly os?: readonly string[];
  readonly libc?: readonly string[];
}

/** They have an install script that nothing here needs: `npm ci --ignore-scripts`. */
const WITH_SCRIPT = ['esbuild', 'koffi'];

const read = (name: string) => readFileSync(join(findCheckout(), name), 'utf8');
const lock: { lockfileVersion: number; packages: { [path: string]: Locked } } = JSON.parse(
  read('package-lock.json'),
);
const packages = Object.entries(lock.packages).filter(([path]) => path !== '');
/** Where it is installed: l7egg runs on Linux with glibc. */
const isForUs = ({ os = ['linux'], libc = ['glibc'] }: Locked) =>
  os.includes('linux') && libc.includes('glibc');
const nameOf = (path: string) => path.replace(/^.*node_modules\//u, '');

describe('what comes from npm', () => {
  test('is locked to a content, whichever registry it comes from', () => {
    assert.equal(lock.lockfileVersion, 3);
    assert.ok(packages.length > 0);
    for (const [path, locked] of packages) {
      const { resolved, integrity } = locked;
      assert.equal(resolved, undefined, path);
      if (isForUs(locked)) assert.match(integrity ?? '', /^sha512-/u, path);
    }
  });

  test('is asked for by an exact version', () => {
    const { dependencies, devDependencies } = JSON.parse(read('package.json'));
    for (const [name, version] of Object.entries({ ...dependencies, ...devDependencies })) {
      assert.match(String(version), /^\d+\.\d+\.\d+$/u, name);
    }
  });

  test('runs no script at its installation', () => {
    const scripted = packages
      .filter(([, { hasInstallScript }]) => hasInstallScript)
      .map(([path]) => nameOf(path));
    assert.deepEqual(
      scripted.filter((name) => !WITH_SCRIPT.includes(name)),
      [],
    );
    const installs = read('Makefile').match(/\bnpm (ci|install)\b.*/gu) ?? [];
    assert.ok(installs.length > 0);
    for (const line of installs) assert.match(line, /^npm ci --ignore-scripts /u);
  });

  test('at run time is what these few bring, and nothing of it is loaded from node_modules', () => {
    const { dependencies } = JSON.parse(read('package.json'));
    const bundled = read('dist/main.cjs').match(/\brequire\("(?!node:|\.)[^"]*"\)/gu) ?? [];
    assert.ok(Object.keys(dependencies).length <= 10);
    assert.deepEqual(
      bundled.filter((call) => !/^require\("[a-z_/]+"\)$/u.test(call)),
      [],
    );
  });
});
