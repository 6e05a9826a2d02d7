import assert from 'node:assert/strict';
import { UsageError } from '../../src/errors.ts';
import type { PolicyPart } from '../../src/formats/part.ts';
import { type ReadPolicies, readPolicies } from '../../src/formats/read-policies.ts';
import { judge } from '../../src/policy/judge.ts';
import { parseAddress } from '../../src/policy/prefix.ts';

export interface ReadOptions {
  readonly lenient?: boolean;
  readonly labels?: Readonly<Record<string, string>>;
}

/** Reads the text of `p.yaml`. */
export function read(text: string, { lenient = false, labels }: ReadOptions = {}): Promise<ReadPolicies> {
  const context = { lenient, ...(labels && { labels: new Map(Object.entries(labels)) }) };
  return readPolicies([{ file: 'p.yaml', text }], context);
}

/** All that is wrong with the text, a line each. */
export async function errorsOf(text: string, options: ReadOptions = {}): Promise<string> {
  const thrown: unknown = await read(text, options).then(
    () => assert.fail('no error'),
    (error: unknown) => error,
  );
  assert.ok(thrown instanceof UsageError, String(thrown));
  return thrown.message;
}

/** A policy named `n` whose spec has these lines, the first of which is line 5. */
export function policy(...lines: readonly string[]): string {
  const head = ['apiVersion: cilium.io/v2', 'kind: CiliumNetworkPolicy', 'metadata: {name: n}', 'spec:'];
  return [...head, ...lines.map((line) => `  ${line}`)].join('\n');
}

/** A policy for all, whose `egress` has these entries, the first of which stands at 7:5. */
export function egress(...entries: readonly string[]): string {
  return policy('endpointSelector: {}', 'egress:', ...entries.map((entry) => `- ${entry}`));
}

/** As `egress`, of `egressDeny`. */
export function egressDeny(...entries: readonly string[]): string {
  return policy('endpointSelector: {}', 'egressDeny:', ...entries.map((entry) => `- ${entry}`));
}

const PROTOCOLS: ReadonlyMap<string, number> = new Map([
  ['icmp', 1],
  ['tcp', 6],
  ['udp', 17],
  ['gre', 47],
  ['icmpv6', 58],
  ['sctp', 132],
]);

/**
 * What parts say of a first packet such as `tcp 192.0.2.1 443` or, when its address was learned for a name, `tcp
 * 192.0.2.1 443 www.example.com`: the verdict, and the source of the rule that decided.
 */
export function verdictOf(parts: readonly PolicyPart[], packet: string): string {
  const [protocol = '', address = '', port = '', ...names] = packet.split(' ');
  const l4Proto = PROTOCOLS.get(protocol);
  assert.ok(l4Proto !== undefined, packet);
  const modes = parts.flatMap(({ dns }) => dns ?? []);
  const { verdict, rule } = judge(
    {
      rules: parts.flatMap(({ rules }) => rules),
      dns: modes.includes('strict') && !modes.includes('open') ? 'strict' : 'open',
      audit: false,
      allowPrivateAnswers: false,
      inbound: 'all',
    },
    { addr: parseAddress(address), l4Proto, port: Number(port), names },
  );
  return rule ? `${verdict} ${rule.source}` : verdict;
}
