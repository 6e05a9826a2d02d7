import type { PolicySource } from '../enforcer/policy-source.ts';
import { UsageError } from '../errors.ts';
import type { CommandLinePolicy } from '../formats/combine.ts';
import { parseFlagRules } from '../policy/flag-rules.ts';
import { mergePorts, type PortRange, parsePort } from '../policy/port.ts';
import { makeShaping, parseRate, type Shaping } from '../policy/shaping.ts';
import { parseCgroup, parseContainer, parseLabel, type Subject } from '../policy/subject.ts';
import { DNS_MODES } from './flags.ts';
import type { Normalised } from './normalise.ts';

type Values = Normalised['values'];

/** What the flags say of policies. Throws UsageError. */
export function parsePolicySource(values: Values): { source: PolicySource; remarks: string[] } {
  const list = (name: string): readonly string[] => values.get(name) ?? [];
  const isOn = (name: string): boolean => list(name)[0] === 'true';
  const { rules, remarks } = parseFlagRules({
    cidr: list('cidr'),
    denyCidr: list('deny-cidr'),
    cn: list('cn'),
    name: list('name'),
    denyName: list('deny-name'),
    port: list('port'),
  });
  const dns = DNS_MODES.find((mode) => mode === list('dns')[0]);
  const shaping = parseShaping(values);
  const labels = list('label').map(parseLabel);
  const line: CommandLinePolicy = {
    subjects: parseSubjects(values),
    rules,
    ...(dns && { dns }),
    defaultDns: 'open',
    audit: isOn('audit'),
    allowPrivateAnswers: isOn('allow-private-answers'),
    ...(shaping && { shaping }),
    ...(values.has('inbound') && { inbound: mergePorts(list('inbound').flatMap(parseInbound)) }),
  };
  const context = {
    ...(labels.length > 0 && { labels: new Map(labels.map(({ key, value }) => [key, value])) }),
    ...(values.has('network') && { networks: list('network') }),
  };
  return {
    source: {
      line,
      files: list('policy'),
      presets: [...new Set(list('preset'))],
      lenient: isOn('lenient'),
      context,
      isModeGiven: ['mode', 'cgroup', 'container'].some((name) => values.has(name)),
    },
    remarks,
  };
}

function parseShaping(values: Values): Shaping | undefined {
  const [rate, ceil] = ['rate', 'ceil'].map((name) => {
    const text = values.get(name)?.[0];
    return text === undefined ? undefined : parseRate(text, `-${name}`);
  });
  if (rate !== undefined) return makeShaping(rate, ceil);
  if (ceil !== undefined) throw new UsageError('-ceil needs -rate: what is there without borrowing');
  return undefined;
}

/* Whom flags are for: cgroups and containers where any is named, else all behind the interfaces. */
function parseSubjects(values: Values): Subject[] {
  const cgroups = values.get('cgroup') ?? [];
  const containers = values.get('container') ?? [];
  const named = [...cgroups, ...containers];
  const mode = values.get('mode')?.[0];
  if (mode === 'tc' && named.length > 0) {
    const flag = cgroups.length > 0 ? 'cgroup' : 'container';
    throw new UsageError(`-${flag} "${named[0]}" is for -mode=cgroup only`);
  }
  // A label alone says which containers; beside interfaces or cgroups it is what selectors look at.
  const isByInterface = mode === 'tc' || values.has('iface') || values.has('eface');
  const labels = named.length > 0 || isByInterface ? [] : (values.get('label') ?? []);
  const subjects = [
    ...cgroups.map(parseCgroup),
    ...containers.map(parseContainer),
    ...labels.map(parseLabel),
  ];
  if (subjects.length === 0) {
    if (mode !== 'cgroup') return [{ kind: 'host' }];
    throw new UsageError(
      '-mode=cgroup needs -cgroup (a path, unit:NAME or pid:NUMBER), -container or -label: say which',
    );
  }
  // Rates are kept on interfaces, so one may be named for them.
  const onInterface = values.has('rate') || values.has('policy') ? ['iface'] : ['iface', 'eface'];
  const stray = onInterface.find((name) => values.has(name));
  if (stray === undefined) return subjects;
  throw new UsageError(`-${stray} is for -mode=tc only: a cgroup is controlled on all interfaces`);
}

function parseInbound(text: string): PortRange[] {
  if (text === 'icmp')
    throw new UsageError('-inbound "icmp" has no ports: 22, 22/tcp or 8000-8100/udp is legal');
  return parsePort(text);
}
