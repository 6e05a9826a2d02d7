import { Protocol } from '../flow/protocol.ts';
import type { PortRange } from '../policy/port.ts';
import type { Rule } from '../policy/rule.ts';
import { groupByPorts } from './grouped.ts';
import { kubernetesHead, TRANSPORT_WORDS } from './kubernetes.ts';
import type { Document, Entry, Suggestion } from './suggestion.ts';
import { portTexts } from './words.ts';
import { yamlText } from './yaml-text.ts';

/** Entries of one list of ports or of types of ICMP that Cilium takes. */
const MAX_LISTED = 40;

/** The list as a CiliumNetworkPolicy (cilium.io/v2). `reverse`: names that DNS has for addresses, escaped. */
export function renderCilium(
  suggestion: Suggestion,
  name: string,
  reverse: ReadonlyMap<string, string>,
): Document {
  const { subject, entries, denials, dns } = suggestion;
  const remarks: string[] = [];
  const egress = [
    ...dnsLines(suggestion, remarks),
    ...groupByPorts(entries).flatMap(({ ports, entries: some }) => [
      ...egressLines(fqdnLines(some), ports, remarks),
      ...egressLines(cidrLines(some, reverse), ports, remarks),
    ]),
  ];
  const deny = denials.flatMap((rule) => denyLines(rule, remarks));
  if (
    dns === 'strict' &&
    entries.every(({ wanted }) => wanted.kind === 'address') &&
    suggestion.lookups.length === 0
  )
    remarks.push('that no name may be looked up can not be said: give -dns=strict beside it');
  return {
    lines: [
      ...kubernetesHead('cilium.io/v2', 'CiliumNetworkPolicy', name),
      'spec:',
      ...(subject.kind === 'label'
        ? [
            '  endpointSelector:',
            '    matchLabels:',
            `      ${yamlText(subject.key)}: ${yamlText(subject.value)}`,
          ]
        : ['  endpointSelector: {}']),
      '  egress:',
      ...(egress.length > 0 ? egress : ['    - {}']),
      ...(deny.length > 0 ? ['  egressDeny:', ...deny] : []),
    ],
    remarks: [...new Set(remarks)],
  };
}

/* Cilium learns what names lead to from answers that this rule sends by its DNS proxy. */
function dnsLines({ dns, entries, lookups }: Suggestion, remarks: string[]): string[] {
  const names = [...entries.flatMap(fqdnOf), ...lookups.map((name) => `matchName: ${yamlText(name)}`)];
  if (dns === 'strict' && names.length === 0) return [];
  if (dns === 'open')
    remarks.push('lookups go to kube-dns of a cluster, and any name may be looked up, as is so now');
  else remarks.push('lookups go to kube-dns of a cluster');
  return [
    '    - toEndpoints:',
    '        - matchLabels:',
    '            "k8s:io.kubernetes.pod.namespace": kube-system',
    '            "k8s:k8s-app": kube-dns',
    '      toPorts:',
    '        - ports:',
    '            - {port: "53", protocol: ANY}',
    '          rules:',
    '            dns:',
    ...(dns === 'open' ? ['matchPattern: "*"'] : names).map((each) => `              - ${each}`),
  ];
}

function fqdnOf({ wanted }: Entry): string[] {
  if (wanted.kind === 'address') return [];
  return wanted.kind === 'name'
    ? [`matchName: ${yamlText(wanted.name)}`]
    : [`matchPattern: ${yamlText(`**${wanted.suffix}`)}`];
}

function fqdnLines(entries: readonly Entry[]): string[] {
  const names = entries.flatMap(fqdnOf);
  return names.length === 0 ? [] : ['toFQDNs:', ...names.map((each) => `  - ${each}`)];
}

function cidrLines(entries: readonly Entry[], reverse: ReadonlyMap<string, string>): string[] {
  const cidrs = entries.flatMap(({ wanted }) => {
    if (wanted.kind !== 'address') return [];
    const found = reverse.get(wanted.address);
    return `  - ${yamlText(hostPrefix(wanted.address))}${found === undefined ? '' : ` # ${found}`}`;
  });
  return cidrs.length === 0 ? [] : ['toCIDR:', ...cidrs];
}

/** The prefix that is one address. */
export function hostPrefix(address: string): string {
  return `${address}/${address.includes(':') ? 128 : 32}`;
}

/* An entry for ports and one for types of ICMP: Cilium does not take both in one. `peer`: whom it speaks of. */
function egressLines(peer: readonly string[], ports: readonly PortRange[], remarks: string[]): string[] {
  if (peer.length === 0) return [];
  return limitsOf(ports, remarks).flatMap((limit) =>
    [...peer, ...limit].map((line, index) => `${index === 0 ? '    - ' : '      '}${line}`),
  );
}

/* What stands beside a peer, an entry each. */
function limitsOf(ports: readonly PortRange[], remarks: string[]): string[][] {
  const transport = ports.flatMap(({ l4Proto, low, high }) => {
    const word = TRANSPORT_WORDS.get(l4Proto);
    if (word === undefined) return [];
    const end = low === high || low === 0 ? '' : `, endPort: ${high}`;
    return `{port: "${low}"${end}, protocol: ${word}}`;
  });
  const types = ports.flatMap(({ l4Proto, low, high }) => {
    const family = l4Proto === Protocol.icmp ? 'IPv4' : l4Proto === Protocol.icmpv6 ? 'IPv6' : undefined;
    if (family === undefined) return [];
    return Array.from({ length: high - low + 1 }, (_, index) => `{family: ${family}, type: ${low + index}}`);
  });
  for (const range of ports)
    if (!TRANSPORT_WORDS.has(range.l4Proto) && !isIcmp(range))
      remarks.push(`${portTexts([range]).join()} can not be said in this format: -format=l7egg says it`);
  return [
    ...(transport.length > 0
      ? [
          [
            'toPorts:',
            ...inLists(transport).flatMap((some) => ['  - ports:', ...some.map((each) => `      - ${each}`)]),
          ],
        ]
      : []),
    ...(types.length > 0
      ? [
          [
            'icmps:',
            ...inLists(types).flatMap((some) => ['  - fields:', ...some.map((each) => `      - ${each}`)]),
          ],
        ]
      : []),
  ];
}

function isIcmp({ l4Proto }: PortRange): boolean {
  return l4Proto === Protocol.icmp || l4Proto === Protocol.icmpv6;
}

function inLists(items: readonly string[]): string[][] {
  const lists: string[][] = [];
  for (let at = 0; at < items.length; at += MAX_LISTED) lists.push(items.slice(at, at + MAX_LISTED));
  return lists;
}

function denyLines({ who, ports, source }: Rule, remarks: string[]): string[] {
  if (who.kind !== 'any' && who.kind !== 'prefix') {
    remarks.push(`${source} denies names, which can not be said in this format: give it beside`);
    return [];
  }
  const peer =
    who.kind === 'any'
      ? ['toEntities:', '  - all']
      : blockLines(
          who.prefix.text,
          who.except.map(({ text }) => text),
        );
  return ports.length > 0
    ? egressLines(peer, ports, remarks)
    : peer.map((line, index) => `${index === 0 ? '    - ' : '      '}${line}`);
}

function blockLines(cidr: string, except: readonly string[]): string[] {
  if (except.length === 0) return ['toCIDR:', `  - ${yamlText(cidr)}`];
  return [
    'toCIDRSet:',
    `  - cidr: ${yamlText(cidr)}`,
    '    except:',
    ...except.map((each) => `      - ${yamlText(each)}`),
  ];
}
