import { portText } from '../policy/port.ts';
import type { Rule } from '../policy/rule.ts';
import { subjectText } from '../policy/subject.ts';
import { whoText } from '../policy/who.ts';
import { groupByPorts, type PortGroup } from './grouped.ts';
import { splitPorts } from './ports.ts';
import { LOOKUP_ONLY } from './protocols.ts';
import { inboundTexts } from './render-flags.ts';
import type { Enforcing } from './seen.ts';
import type { Suggestion } from './suggestion.ts';
import { portTexts } from './words.ts';
import { yamlList, yamlText } from './yaml-text.ts';

/** Characters that the name of a rule may have. */
const MAX_TITLE = 200;

/** The list as a document of our own kind, `l7egg/v1`. `reverse`: names that DNS has for addresses, escaped. */
export function renderL7egg(
  suggestion: Suggestion,
  enforcing: Enforcing,
  reverse: ReadonlyMap<string, string>,
): string[] {
  const { subject, dns, allowPrivateAnswers, inbound, rate, ceil, entries, lookups, denials } = suggestion;
  const rules = [
    ...groupByPorts(entries).flatMap((group) => ruleLines(group, reverse)),
    ...lookupLines(lookups),
    ...denials.flatMap(denialLines),
  ];
  return [
    'apiVersion: l7egg/v1',
    'kind: EgressPolicy',
    'name: suggested',
    // The command has a cgroup of its own each time.
    ...(enforcing.isRun ? [] : [`subject: ${yamlText(subjectText(subject))}`]),
    `dns: ${dns}`,
    ...(allowPrivateAnswers ? ['allowPrivateAnswers: true'] : []),
    ...(inbound ? ['inbound:', ...yamlList(inboundTexts(inbound), 2)] : []),
    ...(rate === undefined ? [] : [`shaping: {rate: ${rate}${ceil === undefined ? '' : `, ceil: ${ceil}`}}`]),
    ...(rules.length > 0 ? ['rules:', ...rules] : ['rules: []']),
  ];
}

function ruleLines({ ports, entries }: PortGroup, reverse: ReadonlyMap<string, string>): string[] {
  const wanted = entries.map((entry) => entry.wanted);
  const names = wanted.flatMap((each) => (each.kind === 'name' ? each.name : []));
  const suffixes = wanted.flatMap((each) => (each.kind === 'suffix' ? each.suffix : []));
  const addresses = wanted.flatMap((each) => (each.kind === 'address' ? each.address : []));
  const addressRemark = (address: string) => reverse.get(address) ?? '';
  return splitPorts(ports).flatMap((some) => [
    `  - name: ${titleText(portTexts(some).join(', '))}`,
    ...(names.length > 0 ? ['    names:', ...yamlList(names, 6)] : []),
    ...(suffixes.length > 0 ? ['    suffixes:', ...yamlList(suffixes, 6)] : []),
    ...(addresses.length > 0 ? ['    cidrs:', ...yamlList(addresses, 6, addressRemark)] : []),
    '    ports:',
    ...yamlList(portTexts(some), 6),
  ]);
}

function lookupLines(names: readonly string[]): string[] {
  if (names.length === 0) return [];
  return [
    '  - name: only looked up',
    '    names:',
    ...yamlList(names, 6),
    '    ports:',
    `      - ${yamlText(portText(LOOKUP_ONLY))} # which nobody sends: their lookups pass, and nothing else`,
  ];
}

function denialLines({ who, ports, source }: Rule): string[] {
  const list = (key: string, items: readonly string[]) => [`    ${key}:`, ...yamlList(items, 6)];
  const head = [`  - name: ${titleText(source)}`, '    action: deny'];
  const limit = ports.length > 0 ? list('ports', portTexts(ports)) : [];
  switch (who.kind) {
    case 'any':
      return [...head, ...limit];
    case 'prefix': {
      const except = who.except.map(({ text }) => yamlText(text)).join(', ');
      const block = `      - {cidr: ${yamlText(who.prefix.text)}, except: [${except}]}`;
      return [
        ...head,
        ...(except === '' ? list('cidrs', [who.prefix.text]) : ['    cidrs:', block]),
        ...limit,
      ];
    }
    case 'suffix':
      return [...head, ...list('suffixes', [who.suffix])];
    case 'exact':
    case 'pattern':
      return [...head, ...list('names', [whoText(who)])];
    default:
      return who satisfies never;
  }
}

function titleText(text: string): string {
  return yamlText([...text].slice(0, MAX_TITLE).join(''));
}
