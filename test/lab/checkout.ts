import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The checkout that this code was built in, wherever the built file lies: the folder of l7egg's package.json. */
export function findCheckout(): string {
  let directory = dirname(fileURLToPath(import.meta.url));
  while (!isCheckout(directory)) {
    const parent = dirname(directory);
    if (parent === directory) throw new Error(`Cannot find l7egg's package.json above "${import.meta.url}"`);
    directory = parent;
  }
  return directory;
}

/** Path of the command under test. */
export function findCli(): string {
  return join(findCheckout(), 'bin', 'l7egg-cli');
}

function isCheckout(directory: string): boolean {
  try {
    return JSON.parse(readFileSync(join(directory, 'package.json'), 'utf8')).name === 'l7egg';
  } catch {
    return false; // no such file here, or not a package
  }
}
