import { execFileSync } from 'node:child_process';
import { cleanEnvironment } from '../lab/command.ts';

/** A program and its arguments. */
export type Argv = readonly [string, ...string[]];

const LIMIT_MS = 60_000;

/** What a program writes to stdout. Throws when it fails, or takes too long. */
export function must([file, ...args]: Argv, env: Readonly<Record<string, string>> = {}): string {
  return execFileSync(file, args, { encoding: 'utf8', timeout: LIMIT_MS, env: cleanEnvironment(env) });
}
