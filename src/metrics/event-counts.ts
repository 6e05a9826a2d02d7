import type { DnsEvent, Event, FlowEvent, PolicyEvent } from '../flow/event.ts';
import { BoundedCounts } from './bounded-counts.ts';
import { CommonNames, type RuleTarget } from './common-names.ts';

/** Rules and subjects are the owner's, so that these are bounds of policies, not of traffic. */
const VERDICT_LIMIT = 1_000;
const DNS_LIMIT = 1_000;
const SUBJECT_LIMIT = 1_024;

/** How the reloads went; `successMs`: when the policy in force was put there or found to be the same, since 1970. */
export interface Reloads {
  readonly reloaded: number;
  readonly unchanged: number;
  readonly failed: number;
  readonly isLastGood: boolean;
  readonly successMs: number;
}

/** Counts what events tell; it takes every one of them. */
export class EventCounts {
  readonly verdicts = new BoundedCounts(['verdict', 'reason', 'rule', 'subject'], VERDICT_LIMIT);
  readonly dns = new BoundedCounts(['verdict', 'reason', 'rcode', 'subject'], DNS_LIMIT);
  readonly kinds = new BoundedCounts(['kind'], 4);
  readonly ended = new BoundedCounts(['subject'], SUBJECT_LIMIT);
  readonly bytes = new BoundedCounts(['subject', 'direction'], 2 * SUBJECT_LIMIT);
  readonly packets = new BoundedCounts(['subject', 'direction'], 2 * SUBJECT_LIMIT);
  readonly commonNames: CommonNames;
  #reloads: Reloads = { reloaded: 0, unchanged: 0, failed: 0, isLastGood: true, successMs: 0 };

  /** @param targetOf what a rule that is or was in force speaks of */
  constructor(targetOf: (ruleId: number) => RuleTarget | undefined) {
    this.commonNames = new CommonNames(targetOf);
  }

  get reloads(): Reloads {
    return this.#reloads;
  }

  /** Counts an event; always true. */
  take(event: Event): boolean {
    this.kinds.add([event.kind], 1);
    switch (event.kind) {
      case 'flow':
        this.#takeFlow(event);
        return true;
      case 'dns':
        this.#takeDns(event);
        return true;
      case 'policy':
        this.#takePolicy(event);
        return true;
      case 'lifecycle':
        return true;
      default:
        return event satisfies never;
    }
  }

  #takeFlow(event: FlowEvent): void {
    const { verdict, reason, rule = '', subject, traffic, count } = event;
    if (reason !== 'ended') {
      this.verdicts.add([verdict, reason, rule, subject], count);
      this.commonNames.add(event);
      return;
    }
    this.ended.add([subject], count);
    if (!traffic) return;
    this.bytes.add([subject, 'out'], traffic.bytes);
    this.packets.add([subject, 'out'], traffic.packets);
    if (traffic.bytesIn !== undefined) this.bytes.add([subject, 'in'], traffic.bytesIn);
    if (traffic.packetsIn !== undefined) this.packets.add([subject, 'in'], traffic.packetsIn);
  }

  #takeDns({ verdict, reason, rcode = '', subject, count }: DnsEvent): void {
    this.dns.add([verdict, reason, rcode, subject], count);
  }

  #takePolicy({ action, timeMs }: PolicyEvent): void {
    const { reloaded, unchanged, failed } = this.#reloads;
    switch (action) {
      case 'in-force':
        this.#reloads = { ...this.#reloads, successMs: timeMs };
        return;
      case 'reloaded':
        this.#reloads = { reloaded: reloaded + 1, unchanged, failed, isLastGood: true, successMs: timeMs };
        return;
      case 'unchanged':
        this.#reloads = { reloaded, unchanged: unchanged + 1, failed, isLastGood: true, successMs: timeMs };
        return;
      case 'reload-failed':
        this.#reloads = { ...this.#reloads, failed: failed + 1, isLastGood: false };
        return;
      default:
        action satisfies never;
    }
  }
}
