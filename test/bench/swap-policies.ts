import type { SubjectPolicy } from '../../src/policy/policy.ts';
import { parsePrefix } from '../../src/policy/prefix.ts';
import type { Rule } from '../../src/policy/rule.ts';
import type { Who } from '../../src/policy/who.ts';

/** How large the policies of this section are. */
export const NAMES = 10_000;
export const PREFIXES = 100_000;

const WEB: Rule['ports'] = [{ l4Proto: 6, low: 443, high: 443 }];

/** Exact names, and IPv4 prefixes of 24 bits; another `version` has another tenth of them. */
export function largePolicy(version: number): SubjectPolicy {
  const rules = [
    ...Array.from({ length: PREFIXES }, (_, index) => rule({ kind: 'prefix', ...prefix(index, version) })),
    ...Array.from({ length: NAMES / 2 }, (_, index) => rule({ kind: 'exact', name: name(index, version) })),
    ...Array.from({ length: NAMES / 2 }, (_, index) =>
      rule({ kind: 'suffix', suffix: `.${name(index + NAMES, version)}` }),
    ),
  ];
  return {
    subject: { kind: 'host' },
    policy: { rules, dns: 'open', audit: false, allowPrivateAnswers: false, inbound: 'all' },
    names: ['large'],
  };
}

/** The same as a policy file. */
export function largeFile(version: number, more: readonly string[]): string {
  const { policy } = largePolicy(version);
  const list = (texts: readonly string[]) => texts.map((text) => `      - ${text}`).join('\n');
  const by = (kind: Who['kind']) =>
    policy.rules.flatMap(({ who }) => (who.kind === kind ? [textOf(who)] : []));
  return `apiVersion: l7egg/v1
kind: EgressPolicy
name: large
rules:
  - ports: [443/tcp]
    cidrs:
${list(by('prefix'))}
    names:
${list(by('exact'))}
    suffixes:
${list(by('suffix'))}
  - cidrs: [${more.join(', ')}]
`;
}

function rule(who: Who): Rule {
  return { who, action: 'allow', ports: WEB, source: `large rule 1 (${textOf(who)})` };
}

function textOf(who: Who): string {
  switch (who.kind) {
    case 'prefix':
      return who.prefix.text;
    case 'exact':
      return who.name;
    case 'suffix':
      return who.suffix;
    default:
      throw new RangeError(`no "${who.kind}" here`);
  }
}

/* 16.0.0.0 and up, where no address of a lab is. */
function prefix(index: number, version: number): Pick<Who & { kind: 'prefix' }, 'prefix' | 'except'> {
  const number = (index % 10 === 0 ? PREFIXES * version : 0) + index;
  const text = `${16 + (number >> 16)}.${(number >> 8) & 255}.${number & 255}.0/24`;
  return { prefix: parsePrefix(text).prefix, except: [] };
}

function name(index: number, version: number): string {
  return index % 10 === 0 ? `host${index}.v${version}.example.com` : `host${index}.example.com`;
}
