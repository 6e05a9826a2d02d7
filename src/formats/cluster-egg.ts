import { parseSuffix } from '../policy/name.ts';
import type { PortRange } from '../policy/port.ts';
import type { Rule } from '../policy/rule.ts';
import { makeShaping, parseRate, type Shaping } from '../policy/shaping.ts';
import { allowEach, readPort, readPortSets } from './kube-ports.ts';
import { selectsSubject } from './label-selector.ts';
import { readMetadata } from './object-metadata.ts';
import type { FormatContext, PolicyPart } from './part.ts';
import { readPrefix } from './read-prefix.ts';
import type { MapValue, Value } from './value.ts';

const PROGRAM_TYPES = ['tc', 'cgroup'] as const;
/** As IFNAMSIZ, without its NUL. */
const MAX_INTERFACE = 15;
const SPEC = 'a map with "programType", "ingress" and "egress" is legal';
const EGRESS = 'a map with "commonNames", "cidrs", "ports", "shaping" and "interfaceName" is legal';

/** Reads a ClusterEgg, maciekleks.dev/v1alpha1. It allows what it lists, and nothing else. */
export function readClusterEgg(document: MapValue, context: FormatContext): PolicyPart[] {
  const { name } = readMetadata(document);
  document.ignore('status');
  const spec = document.require('spec', SPEC)?.map(SPEC);
  document.end();
  if (!spec) return [];
  const type = spec.getNonNull('programType');
  const mode = type ? type.word(PROGRAM_TYPES) : 'cgroup'; // as its schema fills in
  const ingress = spec.getNonNull('ingress')?.map('a map with "interfaceName" is legal');
  const egress = spec.getNonNull('egress')?.map(EGRESS);
  spec.end();
  const iface = ingress && readInterface(ingress, mode);
  ingress?.end();
  const eface = egress && readInterface(egress, mode);
  const isForSubject = selectsSubject(egress?.getNonNull('podSelector'), context);
  const rules = egress ? readRules(egress, name) : [];
  const shaping = readShaping(egress?.getNonNull('shaping'));
  egress?.end();
  if (isForSubject === undefined) return [{ name, restricts: false, rules: [], isLeftOut: true }];
  if (!isForSubject) return [];
  return [
    {
      name,
      restricts: true,
      rules,
      ...(mode && { mode }),
      ...(shaping && { shaping }),
      ...(eface !== undefined && { eface }),
      ...(iface !== undefined && { iface }),
    },
  ];
}

/* The schema wants it with tc; there the command line can say it as well. */
function readInterface(map: MapValue, mode: 'tc' | 'cgroup' | undefined): string | undefined {
  const value = map.getNonNull('interfaceName');
  const name = value?.text('the name of an interface is legal');
  if (!value || name === undefined) return undefined;
  if (name.length > MAX_INTERFACE)
    return value.error(`has ${name.length} characters: at most ${MAX_INTERFACE} are legal`);
  if (name === '') return value.error('is empty: the name of an interface is legal');
  if (mode !== 'cgroup') return name;
  return value.error('is legal with "programType: tc" only, and "cgroup" is what an absent one means');
}

function readRules(egress: MapValue, name: string): Rule[] {
  const ports = egress.getNonNull('ports');
  const portSets = readPortSets(ports, (each) => readPort(each));
  const suffixes = egress.getNonNull('commonNames')?.list('a list of names is legal') ?? [];
  const blocks = egress.getNonNull('cidrs')?.list('a list of prefixes is legal') ?? [];
  return [
    ...suffixes.flatMap((each, index) => {
      const who = each.parse(parseSuffix, 'a name such as .example.com is legal');
      return who ? allowEach([who], portSets, `${name} commonNames[${index}]`) : [];
    }),
    ...blocks.flatMap((each, index) => readBlock(each, ports, portSets, `${name} cidrs[${index}]`)),
  ];
}

/* The schema has text; the project's example for tc has maps, each with ports of its own. */
function readBlock(
  value: Value,
  ports: Value | undefined,
  portSets: readonly PortRange[][],
  source: string,
): Rule[] {
  if (!value.isMap) {
    const who = readPrefix(value, 'a prefix such as 192.0.2.0/24 is legal');
    return who ? allowEach([who], portSets, source) : [];
  }
  const map = value.map();
  const cidr = map?.require('cidr', 'a prefix such as 192.0.2.0/24 is legal');
  const ownPorts = map?.getNonNull('ports');
  map?.end();
  const who = cidr && readPrefix(cidr);
  const sets = ownPorts ? readPortSets(ownPorts, (each) => readPort(each)) : portSets;
  if (ownPorts && ports) ownPorts.error('stands beside the "ports" of all: ports of one of both are legal');
  return who ? allowEach([who], sets, source) : [];
}

/* Its schema takes {} as none. */
function readShaping(value: Value | undefined): Shaping | undefined {
  const map = value?.map('a map with "rate" and "ceil" is legal');
  const rateValue = map?.getNonNull('rate');
  const ceilValue = map?.getNonNull('ceil');
  map?.end();
  const rate = rateValue?.parse((text) => parseRate(text, 'rate'), 'a rate such as 1mbit is legal');
  const ceil = ceilValue?.parse((text) => parseRate(text, 'ceil'), 'a rate such as 1mbit is legal');
  if (ceilValue && !rateValue)
    return ceilValue.error('has no "rate" beside it: a rate such as 1mbit is legal');
  if (rate === undefined) return undefined;
  return (ceilValue ?? rateValue)?.attempt(() => makeShaping(rate, ceil));
}
