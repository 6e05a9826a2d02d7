import { mergePorts, type PortRange } from '../policy/port.ts';
import type { Rule } from '../policy/rule.ts';
import { findDenial } from './denials.ts';
import { kubernetesHead, TRANSPORT_WORDS } from './kubernetes.ts';
import { portsKey } from './ports.ts';
import { hostPrefix } from './render-cilium.ts';
import type { Document, Entry, Suggestion } from './suggestion.ts';
import { portTexts } from './words.ts';
import { yamlText } from './yaml-text.ts';

/** Names that a remark on one address lists. */
const MAX_NAMES = 4;

interface Block {
  readonly address: string;
  readonly names: Set<string>;
  ports: PortRange[];
}

/**
 * The list as a NetworkPolicy (networking.k8s.io/v1), which knows addresses only: those of names that something was sent to stand in it,
 * with the names behind them. `reverse`: names that DNS has for addresses, escaped.
 */
export function renderNetworkPolicy(
  { subject, entries, denials, dns }: Suggestion,
  name: string,
  reverse: ReadonlyMap<string, string>,
): Document {
  const remarks: string[] = [];
  const blocks = blocksOf(entries, denials, remarks);
  const groups = groupBlocks(blocks);
  if (entries.some(({ wanted }) => wanted.kind !== 'address'))
    remarks.push(
      'names can not be said in this format: the addresses are those that were seen, and names move to others',
    );
  for (const { wanted, hasMore } of entries)
    if (hasMore) remarks.push(`${titleOf(wanted)} led to more addresses than are kept: these are the first`);
  for (const { source } of denials) remarks.push(`${source} can not be said in this format: give it beside`);
  if (dns === 'strict')
    remarks.push('which names may be looked up can not be said: give -dns=strict beside it, with the names');
  remarks.push('in a cluster lookups need a rule of their own, to its DNS');
  const egress = groups.flatMap(({ ports, blocks }) => [
    '    - to:',
    ...blocks.map(({ address, names }) => {
      const remark = [...names].slice(0, MAX_NAMES).join(', ') || reverse.get(address);
      const cidr = yamlText(hostPrefix(address));
      return `        - ipBlock: {cidr: ${cidr}}${remark === undefined ? '' : ` # ${remark}`}`;
    }),
    '      ports:',
    ...ports.map(portLine),
  ]);
  return {
    lines: [
      ...kubernetesHead('networking.k8s.io/v1', 'NetworkPolicy', name),
      'spec:',
      ...(subject.kind === 'label'
        ? ['  podSelector:', '    matchLabels:', `      ${yamlText(subject.key)}: ${yamlText(subject.value)}`]
        : ['  podSelector: {}']),
      '  policyTypes: [Egress]',
      ...(egress.length > 0 ? ['  egress:', ...egress] : ['  egress: []']),
    ],
    remarks: [...new Set(remarks)],
    addresses: blocks.length,
  };
}

/* An address as often as there are ports on it: what is said of one name is not said of another. */
function blocksOf(entries: readonly Entry[], denials: readonly Rule[], remarks: string[]): Block[] {
  const blocks = new Map<string, Block>();
  for (const { wanted, addresses, ports } of entries) {
    const sayable = ports.filter(({ l4Proto }) => TRANSPORT_WORDS.has(l4Proto));
    const unsaid = ports.filter(({ l4Proto }) => !TRANSPORT_WORDS.has(l4Proto));
    if (unsaid.length > 0)
      remarks.push(
        `${portTexts(unsaid).join(', ')} to ${titleOf(wanted)} can not be said in this format: -format=l7egg says it`,
      );
    if (sayable.length === 0) continue;
    for (const address of addresses) {
      const open = sayable.filter((range) => !findDenial(denials, address, range));
      if (open.length < sayable.length)
        remarks.push(`${address}, where ${titleOf(wanted)} led to, is denied: not in the list`);
      if (open.length === 0) continue;
      const block = blocks.get(address) ?? { address, names: new Set(), ports: [] };
      block.ports = mergePorts([...block.ports, ...open]);
      for (const each of namesOf(wanted)) block.names.add(each);
      blocks.set(address, block);
    }
  }
  return [...blocks.values()];
}

function groupBlocks(blocks: readonly Block[]): { ports: readonly PortRange[]; blocks: Block[] }[] {
  const groups = new Map<string, { ports: readonly PortRange[]; blocks: Block[] }>();
  for (const block of blocks) {
    const key = portsKey(block.ports);
    const group = groups.get(key) ?? { ports: block.ports, blocks: [] };
    group.blocks.push(block);
    groups.set(key, group);
  }
  return [...groups.values()];
}

function portLine({ l4Proto, low, high }: PortRange): string {
  const protocol = `protocol: ${TRANSPORT_WORDS.get(l4Proto)}`;
  if (low === 0) return `        - {${protocol}}`;
  return `        - {${protocol}, port: ${low}${low === high ? '' : `, endPort: ${high}`}}`;
}

function namesOf(wanted: Entry['wanted']): readonly string[] {
  switch (wanted.kind) {
    case 'name':
      return [wanted.name];
    case 'suffix':
      return wanted.names;
    case 'address':
      return wanted.names;
    default:
      return wanted satisfies never;
  }
}

function titleOf(wanted: Entry['wanted']): string {
  return wanted.kind === 'name' ? wanted.name : wanted.kind === 'suffix' ? wanted.suffix : wanted.address;
}
