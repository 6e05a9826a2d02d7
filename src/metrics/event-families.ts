import { COMMON_NAME_LABELS } from './common-names.ts';
import type { EventCounts } from './event-counts.ts';
import { type Families, one } from './families.ts';
import type { Sample } from './sample.ts';

const COMMON_NAME = 'l7egg_common_name_total_requests';
const VERDICTS = 'l7egg_verdicts_total';
const DNS = 'l7egg_dns_verdicts_total';

/** Registers what is counted from events. */
export function registerEventFamilies(families: Families, counts: EventCounts): void {
  families.counter({
    name: VERDICTS,
    help: 'Verdicts: new flows that were allowed, and packets that were refused or, with would_deny, passed by audit only. Refused ones of a kind are told at once and then once a second.',
    labels: ['verdict', 'reason', 'rule', 'subject'],
    read: () => counts.verdicts.samples(),
  });
  families.counter({
    name: DNS,
    help: 'Verdicts on lookups and answers that were told; rcode is of answers with an error.',
    labels: ['verdict', 'reason', 'rcode', 'subject'],
    read: () => counts.dns.samples(),
  });
  families.counter({
    name: 'l7egg_events_total',
    help: 'Events that were told.',
    labels: ['kind'],
    read: () => counts.kinds.samples(),
  });
  families.counter({
    name: 'l7egg_label_overflow_total',
    help: 'What was counted in the series of a metric whose labels are "other", for want of room for more series.',
    labels: ['metric'],
    read: () => [
      { labels: { metric: VERDICTS }, value: counts.verdicts.others },
      { labels: { metric: DNS }, value: counts.dns.others },
      { labels: { metric: COMMON_NAME }, value: counts.commonNames.others },
    ],
  });
  families.gauge({
    name: COMMON_NAME,
    help: 'New flows that were allowed and packets that were refused, by rule and destination, with the labels of MaciekLeks/l7egg: id of the rule (0 none), status (1: the lease was over), in_acl (1: a rule let it pass), cn (name or suffix of the rule), cidr (prefix of the rule, else the address), port, fqdn (the name that taught the address). At most 2,000 series; the others are summed.',
    labels: COMMON_NAME_LABELS,
    read: () => counts.commonNames.samples(),
  });
  registerTraffic(families, counts);
  registerReloads(families, counts);
}

function registerTraffic(families: Families, counts: EventCounts): void {
  families.counter({
    name: 'l7egg_ended_flows_total',
    help: 'Flows that have ended.',
    labels: ['subject'],
    read: () => counts.ended.samples(),
  });
  families.counter({
    name: 'l7egg_ended_flow_bytes_total',
    help: 'Payload of flows that have ended; direction in is known of local TCP connections only.',
    labels: ['subject', 'direction'],
    read: () => counts.bytes.samples(),
  });
  families.counter({
    name: 'l7egg_ended_flow_packets_total',
    help: 'Packets of flows that have ended; direction in is known of local TCP connections only.',
    labels: ['subject', 'direction'],
    read: () => counts.packets.samples(),
  });
}

function registerReloads(families: Families, counts: EventCounts): void {
  families.counter({
    name: 'l7egg_reloads_total',
    help: 'Reloads by result: another policy was put in force, it was the same, or it was bad and changed nothing.',
    labels: ['result'],
    read: () => reloadsByResult(counts),
  });
  families.gauge({
    name: 'l7egg_last_reload_successful',
    help: 'Whether the last reload was good; 1 before the first.',
    labels: [],
    read: () => one(counts.reloads.isLastGood ? 1 : 0),
  });
  families.gauge({
    name: 'l7egg_last_reload_success_timestamp_seconds',
    help: 'When the policy was put in force or read again without an error, in seconds since 1970.',
    labels: [],
    read: () => one(counts.reloads.successMs / 1_000),
  });
}

function reloadsByResult({ reloads: { reloaded, unchanged, failed } }: EventCounts): Sample[] {
  return [
    { labels: { result: 'reloaded' }, value: reloaded },
    { labels: { result: 'unchanged' }, value: unchanged },
    { labels: { result: 'failed' }, value: failed },
  ];
}
