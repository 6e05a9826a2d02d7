import { HOST_POLICY } from '../datapath/compile.ts';
import type { Trusted } from '../datapath/host-facts.ts';
import type { Resolver } from '../dns/resolver.ts';
import { dnsPorts, formatResolver, MAX_DNS_PORTS } from './resolvers.ts';

/** Of a resolver on a container's loopback: Docker rewrites its port. */
export const ANY_PORT = 0;

/**
 * Which resolvers each policy trusts. The host's follow its files. Those of other subjects stay what they were at the
 * start, for a subject may be able to write these files; the owner changes them with a reload.
 */
export class Trust {
  #host: readonly Resolver[];
  #others: readonly Resolver[];
  readonly #own = new Map<number, readonly Resolver[]>();

  constructor(resolvers: readonly Resolver[]) {
    this.#host = resolvers;
    this.#others = resolvers;
  }

  /** Those of the host. */
  get host(): readonly Resolver[] {
    return this.#host;
  }

  /** What the host's files say now; `isAsked`: the owner has asked for it. */
  follow(resolvers: readonly Resolver[], isAsked: boolean): void {
    this.#host = resolvers;
    if (isAsked) this.#others = resolvers;
  }

  /** Trusts more for one policy, as far as there is room for their ports; answers those that were left out. */
  add(policyId: number, resolvers: readonly Resolver[]): Resolver[] {
    const leftOut: Resolver[] = [];
    for (const resolver of resolvers) {
      const before = this.of(policyId);
      if (before.some((each) => formatResolver(each) === formatResolver(resolver))) continue;
      const isRoom =
        resolver.port === ANY_PORT || new Set([...this.ports, resolver.port]).size <= MAX_DNS_PORTS;
      if (isRoom) this.#own.set(policyId, [...(this.#own.get(policyId) ?? []), resolver]);
      else leftOut.push(resolver);
    }
    return leftOut;
  }

  of(policyId: number): readonly Resolver[] {
    return [...(policyId === HOST_POLICY ? this.#host : this.#others), ...(this.#own.get(policyId) ?? [])];
  }

  /** Those of these policies, for the kernel. */
  by(policyIds: readonly number[]): Trusted {
    return new Map(policyIds.map((policyId) => [policyId, this.of(policyId)]));
  }

  /** All ports, each once. Any port, which is 0, is none of them. */
  get ports(): number[] {
    const all = dnsPorts([...this.#host, ...this.#others, ...[...this.#own.values()].flat()]);
    return all.filter((port) => port !== ANY_PORT);
  }
}
