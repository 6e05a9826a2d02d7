import { UsageError } from '../errors.ts';
import { parseName } from '../policy/name.ts';

/** What a shell takes to the letter as well. */
const PLAIN = /^[a-z0-9_-]+(?:\.[a-z0-9_-]+)*$/u;

/**
 * Whether a rule can hold a name of the network to the letter: flags and files take it for this very name, and neither
 * a shell nor YAML reads more into it.
 */
export function isPlainName(name: string): boolean {
  return PLAIN.test(name) && !name.startsWith('-') && isNamed(name);
}

function isNamed(name: string): boolean {
  try {
    return parseName(name) === name;
  } catch (thrown) {
    if (thrown instanceof UsageError) return false;
    throw thrown;
  }
}
