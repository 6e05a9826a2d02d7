import type { Attachment, Census, RuleHits, SubjectCount } from './census.ts';
import { type Families, one } from './families.ts';
import type { Sample } from './sample.ts';

/** Registers what takes long to count; `last` is the census that a scrape is answered from. */
export function registerCensusFamilies(families: Families, last: () => Census): void {
  registerAmounts(families, last);
  registerMaps(families, last);
  registerHits(families, last);
  families.gauge({
    name: 'l7egg_attached',
    help: 'Whether the program of a hook is in force (1) where it has to be: directions of an interface, all that a policy needs of a cgroup.',
    labels: ['kind', 'name', 'hook'],
    read: () => last().attachments.map(attachment),
  });
  families.gauge({
    name: 'l7egg_census_timestamp_seconds',
    help: 'When flows, leases, maps, rules and hooks were counted, in seconds since 1970: at most every five seconds.',
    labels: [],
    read: () => one(last().takenMs / 1_000),
  });
  families.gauge({
    name: 'l7egg_census_duration_seconds',
    help: 'How long counting them went on, in small pieces.',
    labels: [],
    read: () => one(last().tookMs / 1_000),
  });
}

function registerAmounts(families: Families, last: () => Census): void {
  families.gauge({
    name: 'l7egg_flows',
    help: 'Flows that packets still match, by who began them.',
    labels: ['direction', 'subject'],
    read: () => [
      ...last().outbound.map((count) => ofSubject(count, { direction: 'outbound' })),
      ...last().inbound.map((count) => ofSubject(count, { direction: 'inbound' })),
    ],
  });
  families.gauge({
    name: 'l7egg_learned_addresses',
    help: 'Addresses with a live lease.',
    labels: ['subject'],
    read: () => last().addresses.map((count) => ofSubject(count)),
  });
  families.gauge({
    name: 'l7egg_leases',
    help: 'Live leases: an address may have several, of different rules.',
    labels: ['subject'],
    read: () => last().leases.map((count) => ofSubject(count)),
  });
  families.gauge({
    name: 'l7egg_rules',
    help: 'Rules in force: each name, suffix and prefix counts.',
    labels: ['subject'],
    read: () => last().rules.map((count) => ofSubject(count)),
  });
}

function registerMaps(families: Families, last: () => Census): void {
  families.gauge({
    name: 'l7egg_map_entries',
    help: 'Entries of a map in the kernel; those of flows are there for a while after the flow has ended.',
    labels: ['map'],
    read: () => last().maps.map(({ name, entries }) => ({ labels: { map: name }, value: entries })),
  });
  families.gauge({
    name: 'l7egg_map_max_entries',
    help: 'Entries that a map in the kernel has room for.',
    labels: ['map'],
    read: () => last().maps.map(({ name, maxEntries }) => ({ labels: { map: name }, value: maxEntries })),
  });
  families.gauge({
    name: 'l7egg_map_fill_ratio',
    help: 'How full a map in the kernel is, 0 to 1; most drop the entry that was used longest ago when they are full.',
    labels: ['map'],
    read: () =>
      last().maps.map(({ name, entries, maxEntries }) => ({
        labels: { map: name },
        value: entries / maxEntries,
      })),
  });
}

const HITS = [
  { field: 'allowed', help: 'New flows that a rule allowed, as the kernel counts.' },
  { field: 'refused', help: 'Packets and lookups that a deny rule refused, as the kernel counts.' },
  { field: 'learned', help: 'New leases that a rule gave, as the kernel counts.' },
  {
    field: 'evicted',
    help: 'Leases of a rule that gave way to newer ones of the same, as the kernel counts.',
  },
] as const;

function registerHits(families: Families, last: () => Census): void {
  for (const { field, help } of HITS) {
    families.counter({
      name: `l7egg_rule_${field}_total`,
      help,
      labels: ['rule', 'subject'],
      read: () => last().hits.map((hits) => ofRule(hits, field)),
    });
  }
  families.counter({
    name: 'l7egg_rule_overflow_total',
    help: 'Hits of rules for which there was no room in the l7egg_rule_ metrics, all four together.',
    labels: [],
    read: () => one(last().otherHits),
  });
}

function ofRule(hits: RuleHits, field: (typeof HITS)[number]['field']): Sample {
  return { labels: { rule: hits.rule, subject: hits.subject }, value: hits[field] };
}

function ofSubject({ subject, count }: SubjectCount, labels: Sample['labels'] = {}): Sample {
  return { labels: { ...labels, subject }, value: count };
}

function attachment({ kind, name, hook, isInForce }: Attachment): Sample {
  return { labels: { kind, name, hook }, value: isInForce ? 1 : 0 };
}
