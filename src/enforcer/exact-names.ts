import type { SubjectRule } from '../datapath/compile.ts';
import { RecordType } from '../dns/record-type.ts';
import type { Resolver } from '../dns/resolver.ts';
import { letsPass } from '../policy/rule.ts';
import type { Asker } from './asker.ts';

/** Names that are asked for at a time. */
const AT_A_TIME = 16;

/** Asks for the exact names of rules: a program that cached the address before we started would never ask. */
export async function resolveExactNames(
  asker: Asker,
  resolver: Resolver,
  rules: readonly SubjectRule[],
): Promise<void> {
  const names = rules.flatMap(({ rule }) =>
    letsPass(rule) && rule.who.kind === 'exact' ? [rule.who.name] : [],
  );
  for (let at = 0; at < names.length; at += AT_A_TIME) {
    await Promise.all(
      names
        .slice(at, at + AT_A_TIME)
        .flatMap((name) => [RecordType.a, RecordType.aaaa].map((qtype) => asker.ask(resolver, name, qtype))),
    );
  }
}
