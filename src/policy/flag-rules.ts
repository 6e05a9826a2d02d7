import { UsageError } from '../errors.ts';
import { parsePattern, parseSuffix } from './name.ts';
import { MAX_PORTS, mergePorts, type PortRange, parsePort } from './port.ts';
import { parsePrefix } from './prefix.ts';
import { dropRepeated, type Rule } from './rule.ts';
import type { Who } from './who.ts';

/** The values of the flags that are rules, lists split into their items. */
export interface RuleFlags {
  readonly cidr: readonly string[];
  readonly denyCidr: readonly string[];
  readonly cn: readonly string[];
  readonly name: readonly string[];
  readonly denyName: readonly string[];
  /** Limits every rule of these flags that allows. */
  readonly port: readonly string[];
}

interface Parsed {
  readonly who: Who;
  readonly warning?: string;
}

/**
 * Parses the rules given as flags. Rules that say the same are taken once, by their first source. `remarks` are
 * sentences for the owner: masked prefixes, rules given twice. Throws UsageError.
 */
export function parseFlagRules(flags: RuleFlags): { rules: Rule[]; remarks: string[] } {
  const ports = parsePorts(flags.port);
  const rules: Rule[] = [];
  const remarks: string[] = [];
  const add = (
    flag: string,
    texts: readonly string[],
    action: 'allow' | 'deny',
    parse: (text: string) => Parsed,
  ): void => {
    for (const text of texts) {
      const { who, warning } = parse(text);
      rules.push({ who, action, ports: action === 'allow' ? ports : [], source: `-${flag}=${text}` });
      if (warning !== undefined) remarks.push(`-${flag}: ${warning}`);
    }
  };
  add('cidr', flags.cidr, 'allow', parsePrefixWho);
  add('cn', flags.cn, 'allow', (text) => ({ who: parseSuffix(text) }));
  add('name', flags.name, 'allow', (text) => ({ who: parsePattern(text) }));
  add('deny-cidr', flags.denyCidr, 'deny', parsePrefixWho);
  add('deny-name', flags.denyName, 'deny', (text) => ({ who: parsePattern(text) }));
  return { rules: dropRepeated(rules, (text) => remarks.push(text)), remarks };
}

function parsePrefixWho(text: string): Parsed {
  const { prefix, ...rest } = parsePrefix(text);
  return { who: { kind: 'prefix', prefix, except: [] }, ...rest };
}

function parsePorts(texts: readonly string[]): PortRange[] {
  const ports = mergePorts(texts.flatMap(parsePort));
  if (ports.length <= MAX_PORTS) return ports;
  throw new UsageError(
    `-port "${texts.join(',')}" makes ${ports.length} ranges of ports: at most ${MAX_PORTS} are legal, and a port without protocol makes two`,
  );
}
