import type { SubjectRule } from '../datapath/compile.ts';
import type { RawDnsEvent } from '../datapath/event.ts';
import { pendingOf } from '../datapath/pending.ts';
import type { DatapathState } from '../datapath/state.ts';
import { teach } from '../datapath/teacher.ts';
import { RecordType } from '../dns/record-type.ts';
import type { Resolver } from '../dns/resolver.ts';
import { decodeName } from '../dns/wire-name.ts';
import { takesLeases } from '../policy/rule.ts';
import { holdsName } from '../policy/who.ts';
import type { Asker } from './asker.ts';
import { ANY_PORT } from './trust.ts';

const AGAIN_MS = 5_000;
const LOOK_MS = 20;
const MAX_RECENT = 10_000;

/** What the fallback needs of the enforcer. */
export interface FallbackContext {
  readonly state: DatapathState;
  readonly asker: Asker;
  rules(): readonly SubjectRule[];
  resolvers(policyId: number): readonly Resolver[];
  /** An answer taught this, for these rules. */
  learned(name: string, addresses: readonly Uint8Array[], ruleIds: readonly number[]): void;
}

/**
 * Answers that the kernel did not parse (in pieces, too large, too long to walk, HTTPS and SVCB hints):
 * the name is asked again by a socket of ours, decoded strictly, and the lease written through the
 * kernel. Once per name in five seconds.
 */
export class Fallback {
  readonly #context: FallbackContext;
  readonly #asked = new Map<string, number>();
  #lookedAt = Number.NEGATIVE_INFINITY;

  constructor(context: FallbackContext) {
    this.#context = context;
  }

  /** Takes an event with reason `dns-unparsed`. */
  async take(event: RawDnsEvent): Promise<void> {
    const { state, asker } = this.#context;
    if (asker.isOwn(event)) return;
    // Cut short over UDP: the client asks again over TCP, by itself.
    if (event.unparsed === 'truncated') return;
    const resolver = this.#resolverOf(event);
    if (!resolver) return;
    if (event.qname !== undefined) {
      const types = event.unparsed === 'hints' ? [RecordType.a, RecordType.aaaa] : [event.qtype];
      await Promise.all(
        types.map((qtype) => this.#ask(event.policyId, resolver, event.qname ?? '', qtype, [event.ruleId])),
      );
      return;
    }
    // Anybody can send pieces in the resolver's name: not each is worth a look at the whole map.
    const now = performance.now();
    if (now - this.#lookedAt < LOOK_MS) return;
    this.#lookedAt = now;
    // In pieces: which question it answers is not known, so each that waits on this socket is asked.
    const waiting = pendingOf(state, event.local, event.localPort, event.l4Proto);
    await Promise.all(
      waiting.map(({ name, qtype, ruleIds }) => {
        const text = decodeName(name);
        return text === undefined ? undefined : this.#ask(event.policyId, resolver, text, qtype, ruleIds);
      }),
    );
  }

  async #ask(
    policyId: number,
    resolver: Resolver,
    name: string,
    qtype: number,
    ruleIds: readonly number[],
  ): Promise<void> {
    if (!this.#mayAsk(`${policyId} ${name} ${qtype}`)) return;
    const { state, asker, learned } = this.#context;
    const answer = await asker.ask(resolver, name, qtype);
    if (answer?.status !== 'learned') return;
    const ids = this.#rulesFor(policyId, name, ruleIds);
    for (const { addr, ttl } of answer.addresses) {
      teach(state, { policyId, ruleIds: ids, addresses: [addr], ttlSeconds: ttl });
    }
    learned.call(
      this.#context,
      name,
      answer.addresses.map(({ addr }) => addr),
      ids,
    );
  }

  /** All rules that list the name; a CNAME target is listed by those the kernel named. */
  #rulesFor(policyId: number, name: string, fromKernel: readonly number[]): number[] {
    const matching = this.#context
      .rules()
      .filter(
        (each) => each.policyId === policyId && takesLeases(each.rule) && holdsName(each.rule.who, name),
      )
      .map(({ id }) => id);
    return matching.length > 0 ? matching : fromKernel.filter((id) => id !== 0);
  }

  #resolverOf(event: RawDnsEvent): Resolver | undefined {
    const trusted = this.#context.resolvers(event.policyId);
    const found = trusted.find(({ addr16 }) => Buffer.compare(addr16, event.remote) === 0);
    // On a container's own loopback it is out of our reach: one of those that it asks in turn is as good.
    return found?.port === ANY_PORT ? trusted.find(({ port }) => port !== ANY_PORT) : found;
  }

  #mayAsk(question: string): boolean {
    const now = performance.now();
    const last = this.#asked.get(question);
    if (last !== undefined && now - last < AGAIN_MS) return false;
    this.#asked.delete(question);
    this.#asked.set(question, now);
    if (this.#asked.size > MAX_RECENT) {
      for (const [old, since] of this.#asked) {
        if (now - since < AGAIN_MS && this.#asked.size <= MAX_RECENT) break;
        this.#asked.delete(old);
      }
    }
    return true;
  }
}
