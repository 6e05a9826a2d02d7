import type { Value } from './value.ts';

/**
 * Reports what a rule says and is not enforced, so that it has to be left out. Without a part of what it denies a rule
 * would let more pass: that stays an error even when lenient.
 */
export function leaveOut(value: Value, what: string, action: 'allow' | 'deny'): undefined {
  return action === 'deny'
    ? value.error(`${what}, and what denies can't be left out`)
    : value.unsupported(what);
}
