import { existsSync } from 'node:fs';
import { controlPath } from '../enforcer/control-path.ts';

/** Why an answer was not whole: an enforcer that ends takes its socket along, one that was killed leaves it. */
export function sayCutShort(instance: string): string {
  return existsSync(controlPath(instance))
    ? 'the enforcer was killed; what it had put in force stays so'
    : 'the enforcer has ended, and did not wait for its last events to be read';
}
