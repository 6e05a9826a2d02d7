/*
 * Runs built test files in one process, each as a suite of its name: for a machine on which node takes long to start and
 * to compile. All are imported before the first test runs, so none may change what belongs to the process.
 */
import { basename, resolve } from 'node:path';
import { describe } from 'node:test';
import { pathToFileURL } from 'node:url';

for (const file of process.argv.slice(2)) {
  describe(basename(file), async () => {
    await import(pathToFileURL(resolve(file)).href);
  });
}
