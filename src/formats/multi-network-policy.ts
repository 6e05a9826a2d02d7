import { readNetworkPolicySpec } from './network-policy.ts';
import { type ObjectMetadata, readMetadata } from './object-metadata.ts';
import type { FormatContext, PolicyPart } from './part.ts';
import type { MapValue, Value } from './value.ts';

const POLICY_FOR = 'k8s.v1.cni.cncf.io/policy-for';
const NETWORK = /^(?:[^\s/]+\/)?[^\s/]+$/u;
const LEGAL = 'names of networks, NAME or NAMESPACE/NAME with commas between them, are legal';

/** Reads a MultiNetworkPolicy, k8s.cni.cncf.io/v1beta1 and v1beta2: a NetworkPolicy for the networks it names. */
export function readMultiNetworkPolicy(document: MapValue, context: FormatContext): PolicyPart[] {
  const metadata = readMetadata(document);
  return readNetworkPolicySpec(document, metadata.name, context, isForNetwork(document, metadata, context));
}

/* Both implementations of the working group pass over a policy without the annotation: it is for no network. */
function isForNetwork(
  document: MapValue,
  { namespace, annotations }: ObjectMetadata,
  { networks }: FormatContext,
): boolean | undefined {
  const map = annotations?.map('a map of annotations is legal');
  if (annotations && !map) return undefined;
  const value = map?.getNonNull(POLICY_FOR);
  if (!value) {
    document.value.warn(`has no annotation "${POLICY_FOR}", so it is for no network: not used`);
    return false;
  }
  const named = readNetworks(value, namespace);
  if (!named) return undefined;
  if (!networks) {
    return value.unsupported(
      `is for the networks ${named.join(', ')}: -network says which ones the controlled interface is of`,
    );
  }
  if (named.some((network) => networks.some((ours) => isNetwork(network, ours)))) return true;
  value.warn(`is for the networks ${named.join(', ')}, none of which -network names: not used`);
  return false;
}

/* As NAMESPACE/NAME. A name by itself is one of the policy's own namespace; as there, a comma too many is no matter. */
function readNetworks(value: Value, namespace: string): string[] | undefined {
  const text = value.text(LEGAL);
  if (text === undefined) return undefined;
  const items = text.split(',').map((each) => each.trim());
  const networks = items.filter((each) => each !== '');
  const bad = networks.length === 0 ? text : networks.find((each) => !NETWORK.test(each));
  if (bad !== undefined) return value.error(`has the network "${bad}": ${LEGAL}`);
  return networks.map((each) => (each.includes('/') ? each : `${namespace}/${each}`));
}

/* On a host there are no namespaces, so that -network=NAME stands for that network of any. */
function isNetwork(network: string, ours: string): boolean {
  return network === ours || (!ours.includes('/') && network.endsWith(`/${ours}`));
}
