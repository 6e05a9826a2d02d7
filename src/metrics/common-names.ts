import type { FlowEvent } from '../flow/event.ts';
import { BoundedCounts } from './bounded-counts.ts';
import type { Sample } from './sample.ts';

/** What a rule speaks of: a name as it was written, or a prefix; `any` is every address. */
export interface RuleTarget {
  readonly kind: 'name' | 'prefix' | 'any';
  readonly text: string;
}

/** The labels of `l7egg_common_name_total_requests`, in the order in which l7egg has them. */
export const COMMON_NAME_LABELS = ['id', 'status', 'in_acl', 'cn', 'cidr', 'port', 'fqdn'];

/* Who scans addresses that no rule lists takes no room from what is listed. */
const LISTED_LIMIT = 1_500;
const UNLISTED_LIMIT = 500;

/**
 * New flows by rule, address and name, as MaciekLeks/l7egg counts them: `id` of the rule, 0 = none; `status` 1 = the
 * lease of the address was over; `in_acl` 1 = a rule let it pass; `cn` the rule's name or suffix; `cidr` the rule's
 * prefix, of rules by name and without a rule the address; `port` of the destination, or empty; `fqdn` the name that
 * taught the address last, or empty.
 */
export class CommonNames {
  readonly #targetOf: (ruleId: number) => RuleTarget | undefined;
  readonly #listed = new BoundedCounts(COMMON_NAME_LABELS, LISTED_LIMIT);
  readonly #unlisted = new BoundedCounts(COMMON_NAME_LABELS, UNLISTED_LIMIT);

  constructor(targetOf: (ruleId: number) => RuleTarget | undefined) {
    this.#targetOf = targetOf;
  }

  /** Counts a verdict on packets that could be read. */
  add({ verdict, reason, ruleId, packet, names, count }: FlowEvent): void {
    if (packet.family === 'unread') return;
    const isListed = verdict === 'allow';
    const target = ruleId === undefined ? undefined : this.#targetOf(ruleId);
    const counts = isListed ? this.#listed : this.#unlisted;
    counts.add(
      [
        `${ruleId ?? 0}`,
        reason === 'lease-ended' ? '1' : '0',
        isListed ? '1' : '0',
        target?.kind === 'name' ? target.text : '',
        target?.kind === 'prefix' ? target.text : packet.dst,
        `${packet.dport ?? ''}`,
        names[0] ?? '',
      ],
      count,
    );
  }

  /** What found no room. */
  get others(): number {
    return this.#listed.others + this.#unlisted.others;
  }

  /** All series, at most 2,002. What found no room has `in_acl` all the same. */
  *samples(): Generator<Sample> {
    for (const [counts, inAcl] of [
      [this.#listed, '1'],
      [this.#unlisted, '0'],
    ] as const) {
      for (const { labels, value } of counts.samples()) yield { labels: { ...labels, in_acl: inAcl }, value };
    }
  }
}
