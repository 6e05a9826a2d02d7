/*
 * manual VERSION PRESETS TARGET: writes the manual page and the completion scripts of bash, zsh and fish into the
 * folder TARGET. Each is made of the tables of commands and flags; PRESETS is the folder of the policies that come with
 * the package.
 */
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { completionScript } from '../src/manual/completion.ts';
import { manPage } from '../src/manual/man-page.ts';

const SUFFIX = '.yaml';
const [, , version = '', presets = '', target = ''] = process.argv;

const named = readdirSync(presets)
  .filter((file) => file.endsWith(SUFFIX))
  .sort()
  .map((file) => {
    const [, description = file] = /^# (.*)\n/u.exec(readFileSync(join(presets, file), 'utf8')) ?? [];
    return { name: basename(file, SUFFIX), description };
  });
mkdirSync(target, { recursive: true });
writeFileSync(join(target, 'l7egg-cli.8'), manPage(version));
for (const shell of ['bash', 'zsh', 'fish'] as const) {
  const script = readFileSync(`src/manual/completion.${shell}`, 'utf8');
  writeFileSync(join(target, `completion.${shell}`), completionScript(shell, script, named));
}
