import { setImmediate as nextTurn } from 'node:timers/promises';
import { findLearned } from '../datapath/learned.ts';
import type { DatapathState } from '../datapath/state.ts';
import { encodeStruct, readBytes, readField } from '../datapath/struct.ts';
import { bootTimeNs } from '../libbpf/clock.ts';
import { type Connection, destroyTcpSocket } from '../netlink/sock-diag.ts';
import { AddressRules } from '../policy/address-rules.ts';
import { judge } from '../policy/judge.ts';
import type { Policy } from '../policy/policy.ts';
import { matchesPort } from '../policy/port.ts';
import { letsPass, portsInForce, type Rule } from '../policy/rule.ts';
import type { PoliciesInForce } from './policies-in-force.ts';

const TCP = 6;
/** Flows looked at before others get a turn. */
const TURN = 8_192;

/**
 * Ends local TCP connections that were allowed by rules which are gone, and that no other rule allows: their programs
 * learn at once, not with their next packet, which would be refused. Other flows end with that packet. Answers how
 * many were ended. Throws SystemError.
 */
export async function endFlows(
  state: DatapathState,
  withdrawn: ReadonlySet<number>,
  inForce: PoliciesInForce,
): Promise<number> {
  if (withdrawn.size === 0) return 0;
  const judges = new Map(inForce.subjects.map(({ policyId, policy }) => [policyId, new FlowJudge(policy)]));
  const rules = new Map(inForce.rules.map(({ id, rule }) => [id, rule]));
  let seen = 0;
  let ended = 0;
  for (const [key, value] of state.map('flows').entries()) {
    if (++seen % TURN === 0) await nextTurn();
    if (!withdrawn.has(readField(value, 'flow', 'rule')) || readField(key, 'flow_key', 'l4_proto') !== TCP)
      continue;
    const policyId = readField(key, 'flow_key', 'policy');
    const connection: Connection = {
      local: readBytes(key, 'flow_key', 'local'),
      localPort: readField(key, 'flow_key', 'local_port_be'),
      remote: readBytes(key, 'flow_key', 'remote'),
      remotePort: readField(key, 'flow_key', 'remote_port_be'),
    };
    const leasing = leasedRules(state, policyId, connection.remote).flatMap((id) => rules.get(id) ?? []);
    // Without a policy nobody judges it any more.
    if (judges.get(policyId)?.passes(connection, leasing) ?? true) continue;
    if (destroyTcpSocket(connection)) ended += 1;
  }
  return ended;
}

/** Judges as the kernel does with the next packet. */
class FlowJudge {
  readonly #policy: Policy;
  #byAddress: AddressRules | undefined;

  constructor(policy: Policy) {
    this.#policy = policy;
  }

  passes({ remote, remotePort }: Connection, leasing: readonly Rule[]): boolean {
    this.#byAddress ??= new AddressRules(this.#policy.rules);
    const rules = this.#byAddress.holding(remote);
    const attempt = { addr: remote, l4Proto: TCP, port: remotePort, names: [] };
    const { verdict, reason } = judge({ ...this.#policy, rules }, attempt);
    if (verdict !== 'deny') return true;
    return (
      reason !== 'deny-cidr' &&
      leasing.some(
        (rule) => letsPass(rule) && matchesPort(portsInForce(rule, this.#policy.dns), TCP, remotePort),
      )
    );
  }
}

function leasedRules(state: DatapathState, policyId: number, addr: Uint8Array): number[] {
  const now = Number(bootTimeNs() / 1_000_000_000n);
  const leases = findLearned(state, encodeStruct('host_key', { addr, policy: policyId }));
  return leases.filter(({ endsAt }) => endsAt > now).map(({ ruleId }) => ruleId);
}
