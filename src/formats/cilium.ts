import type { DnsMode } from '../policy/rule.ts';
import { type Egress, readEgress } from './cilium-egress.ts';
import { isEveryName } from './cilium-name.ts';
import { type Fit, readSelector } from './cilium-selector.ts';
import { readMetadata } from './object-metadata.ts';
import type { FormatContext, PolicyPart } from './part.ts';
import type { MapValue, Value } from './value.ts';

const INGRESS = ['ingress', 'ingressDeny'] as const;

/** Reads `cilium.io/v2` CiliumNetworkPolicy, with the meaning that release 1.19 gives it: a part for each rule. */
export function readCilium(document: MapValue, context: FormatContext): PolicyPart[] {
  return readPolicy(document, context, false);
}

/** Reads `cilium.io/v2` CiliumClusterwideNetworkPolicy, which may also select nodes. */
export function readCiliumClusterwide(document: MapValue, context: FormatContext): PolicyPart[] {
  return readPolicy(document, context, true);
}

function readPolicy(document: MapValue, context: FormatContext, isClusterwide: boolean): PolicyPart[] {
  const { name } = readMetadata(document);
  document.ignore('status');
  const spec = document.getNonNull('spec');
  const specs = document.getNonNull('specs');
  document.end();
  if (!spec && !specs) document.value.error('has no "spec": a rule, or a list of them in "specs", is legal');
  const listed = (specs?.list('a list of rules is legal') ?? []).map((value, index) => ({
    value,
    source: `${name} specs[${index}]`,
  }));
  const all = [...(spec ? [{ value: spec, source: name }] : []), ...listed];
  return all.flatMap(({ value, source }) => {
    const part = readSpec(value, source, context, isClusterwide);
    return part ? [{ name, ...part }] : [];
  });
}

/** One rule of Cilium's, undefined when it does not apply. */
function readSpec(
  value: Value,
  source: string,
  { labels }: FormatContext,
  isClusterwide: boolean,
): Omit<PolicyPart, 'name'> | undefined {
  const map = value.map('a rule is a map with "endpointSelector" and "egress"');
  if (!map) return undefined;
  map.ignore('description', 'labels', 'log');
  const selector = takeSelector(map, isClusterwide);
  const fit = selector ? readSelector(selector, labels) : 'fits';
  const sections = takeSections(map);
  const enabled = readDefaultDeny(map);
  map.end();
  if (!mayApply(fit, selector, sections)) return undefined;
  for (const ingress of sections.ingress)
    ingress.warn('is left out: what leaves is controlled, not what comes');
  const allowed = sections.egress.map((each, index) =>
    readEgress(each, `${source} egress[${index}]`, 'allow'),
  );
  const denied = sections.egressDeny.map((each, index) =>
    readEgress(each, `${source} egressDeny[${index}]`, 'deny'),
  );
  const content = combine(map.value, allowed, denied, enabled);
  // Read all the same where labels are not known, so that all that is wrong is told at once.
  if (fit === 'fits') return content;
  return content.restricts ? { restricts: false, rules: [], isLeftOut: true } : undefined;
}

/** `enabled`: what enableDefaultDeny says. */
function combine(
  spec: Value,
  allowed: readonly Egress[],
  denied: readonly Egress[],
  enabled: boolean | undefined,
): Omit<PolicyPart, 'name'> {
  // pkg/policy/api/rule_validation.go: by default, where there is an entry in one of the two.
  const restricts = enabled ?? allowed.length + denied.length > 0;
  const dns = dnsOf(allowed, restricts);
  const rules = [...allowed, ...denied].flatMap((egress) => egress.rules);
  const narrow = rules.filter(({ action, who }) => action !== 'allow' || !isEveryName(who));
  if (dns !== 'strict' || narrow.length === rules.length) return { restricts, rules, ...(dns && { dns }) };
  // What a rule lists may be looked up, so that these would undo the names of rules.dns.
  spec.unsupported('lists names in rules.dns, and every name in toFQDNs, which then may be looked up');
  return { restricts, rules: narrow, dns };
}

function takeSelector(spec: MapValue, isClusterwide: boolean): Value | undefined {
  const endpoints = spec.getNonNull('endpointSelector');
  const nodes = spec.getNonNull('nodeSelector');
  if (nodes && !isClusterwide)
    return nodes.error('stands in a CiliumNetworkPolicy: CiliumClusterwideNetworkPolicy is legal for nodes');
  if (nodes && endpoints) return nodes.error('stands beside endpointSelector: one of them is legal');
  const legal = isClusterwide ? '"endpointSelector" or "nodeSelector"' : '"endpointSelector"';
  return endpoints ?? nodes ?? spec.value.error(`has no selector: ${legal}, {} for all, is legal`);
}

interface Sections {
  readonly egress: readonly Value[];
  readonly egressDeny: readonly Value[];
  readonly ingress: readonly Value[];
}

/* Cilium 1.19 takes no rule with nothing in any section, and an empty one restricts nothing: other than in Kubernetes,
 * `egress: []` is not how to refuse all. */
function takeSections(spec: MapValue): Sections {
  const egress = spec.get('egress');
  const items = egress?.isNull ? [] : (egress?.list() ?? []);
  const egressDeny = spec.getNonNull('egressDeny')?.list() ?? [];
  const ingress = INGRESS.flatMap((key) => {
    const value = spec.getNonNull(key);
    return value && (value.list() ?? []).length > 0 ? [value] : [];
  });
  if (items.length + egressDeny.length + ingress.length === 0) {
    spec.value.error(
      'has no entry in egress, egressDeny, ingress or ingressDeny: [{}] in egress allows nothing',
    );
  } else if (egress && items.length === 0) {
    egress.warn('is empty, which restricts nothing: [{}] allows nothing');
  }
  return { egress: items, egressDeny, ingress };
}

function readDefaultDeny(spec: MapValue): boolean | undefined {
  const map = spec.getNonNull('enableDefaultDeny')?.map('a map with "egress" and "ingress" is legal');
  const egress = map?.getNonNull('egress')?.boolean();
  map?.getNonNull('ingress')?.boolean();
  map?.end();
  return egress;
}

function mayApply(fit: Fit, selector: Value | undefined, { egressDeny }: Sections): boolean {
  if (fit === 'unknown') {
    const what = 'selects by labels, and none are known of the subject (-label)';
    // Left out, what it denies would pass.
    if (egressDeny.length > 0) selector?.error(`${what}: what denies can't be left out`);
    else selector?.unsupported(what);
  }
  if (fit === 'differs') selector?.warn('does not select the subject by its labels: the rule is left out');
  return fit !== 'differs';
}

/* Cilium adds up what rules say, so that every name of one rule is every name. Where nothing is refused by default,
 * names that a rule lists refuse no others (pkg/policy, ensureWildcard). */
function dnsOf(egress: readonly Egress[], restricts: boolean): DnsMode | undefined {
  const modes = egress.flatMap(({ dns }) => dns ?? []);
  if (modes.includes('open')) return 'open';
  return restricts && modes.length > 0 ? 'strict' : undefined;
}
