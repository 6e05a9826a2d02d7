import { compilePolicies } from '../datapath/compile.ts';
import { FIRST_RULE_ID } from '../datapath/state.ts';
import type { SubjectPolicy } from '../policy/policy.ts';
import { numberSubjects } from './subjects.ts';

/**
 * Compiles policies as a first start would, without the kernel, and drops what comes of it. Throws UsageError where
 * the kernel's tables have no room for them.
 */
export function tryCompile(policies: readonly SubjectPolicy[]): void {
  const { numbered } = numberSubjects(policies, []);
  compilePolicies(numbered, { known: new Map(), next: FIRST_RULE_ID, shares: new Map() }, []);
}
