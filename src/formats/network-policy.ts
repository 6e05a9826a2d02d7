import { type LeaveOut, readEgressRule } from './egress-peers.ts';
import { selectsSubject } from './label-selector.ts';
import { readMetadata } from './object-metadata.ts';
import type { FormatContext, PolicyPart } from './part.ts';
import type { MapValue, Value } from './value.ts';

const POLICY_TYPES = ['Ingress', 'Egress'] as const;

/** Reads a Kubernetes NetworkPolicy, networking.k8s.io/v1. */
export function readNetworkPolicy(document: MapValue, context: FormatContext): PolicyPart[] {
  const { name } = readMetadata(document);
  return readNetworkPolicySpec(document, name, context, true);
}

/**
 * Reads the spec of a NetworkPolicy, which that of a MultiNetworkPolicy equals. `isForNetwork`: whether the policy is
 * for a network at hand, undefined = it can't be known. One that is not for this subject makes no part, and what it
 * has that can't be enforced does not matter; what is no policy at all is an error there too.
 */
export function readNetworkPolicySpec(
  document: MapValue,
  name: string,
  context: FormatContext,
  isForNetwork: boolean | undefined,
): PolicyPart[] {
  document.ignore('status');
  const spec = document
    .require('spec', 'a map with "podSelector", "policyTypes" and "egress" is legal')
    ?.map('a map with "podSelector", "policyTypes" and "egress" is legal');
  document.end();
  if (!spec) return [];
  const isForPod = selectsSubject(spec.getNonNull('podSelector'), context);
  const isForOthers = isForNetwork === false || isForPod === false;
  const leaveOut: LeaveOut = (value, what) => (isForOthers ? undefined : value.unsupported(what));
  const types = spec.getNonNull('policyTypes');
  const ingress = spec.getNonNull('ingress');
  const egress = spec.getNonNull('egress');
  spec.end();
  const items = egress?.list('a list of egress rules is legal, [] for none') ?? [];
  const rules = items.flatMap((each, index) => readEgressRule(each, `${name} egress[${index}]`, leaveOut));
  const typesInForce = readPolicyTypes(types);
  // As the API server fills in policyTypes: an empty list of them, and of rules, is as good as absent.
  const restricts = typesInForce.length > 0 ? typesInForce.includes('Egress') : items.length > 0;
  if (isForOthers) return [];
  if (!isForNetwork || !isForPod)
    return restricts ? [{ name, restricts: false, rules: [], isLeftOut: true }] : [];
  if (ingress) ingress.warn('is about ingress, which is not controlled: left out');
  else if (typesInForce.includes('Ingress'))
    types?.warn('names Ingress, and ingress is not controlled: left out');
  if (!restricts) {
    (egress ?? spec.value).warn(
      'leaves egress as it is, as "policyTypes" does not choose it: Egress there would control it',
    );
  }
  return [{ name, restricts, rules: restricts ? rules : [] }];
}

function readPolicyTypes(value: Value | undefined): (typeof POLICY_TYPES)[number][] {
  const items = value?.list('a list of Ingress and Egress is legal') ?? [];
  if (items.length > POLICY_TYPES.length)
    value?.error(`has ${items.length} items: one or two are legal, Ingress and Egress`);
  return items.flatMap((each) => each.word(POLICY_TYPES) ?? []);
}
