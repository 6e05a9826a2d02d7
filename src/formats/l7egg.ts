import { UsageError } from '../errors.ts';
import { parsePattern, parseSuffix } from '../policy/name.ts';
import { MAX_PORTS, mergePorts, type PortRange, parsePort } from '../policy/port.ts';
import type { Rule } from '../policy/rule.ts';
import { makeShaping, parseRate, type Shaping } from '../policy/shaping.ts';
import { LEGAL_SUBJECT, parseSubject, type Subject } from '../policy/subject.ts';
import { isByAddress, type Who } from '../policy/who.ts';
import type { PolicyPart } from './part.ts';
import { readPrefix, readPrefixes } from './read-prefix.ts';
import type { MapValue, Value } from './value.ts';

const ACTIONS = ['allow', 'deny', 'audit'] as const;
const DNS_MODES = ['open', 'strict'] as const;
const PREFIX = 'a prefix such as 192.0.2.0/24, or a map with "cidr" and "except", is legal';

/** Reads our own kind, `l7egg/v1` EgressPolicy; its JSON Schema is presets/l7egg-v1.schema.json. */
export function readL7egg(document: MapValue): PolicyPart[] {
  const name = document.get('name')?.parse(parseTitle, 'the name of the policy is legal');
  const subject = document.get('subject');
  const dns = document.get('dns')?.word(DNS_MODES);
  const allowPrivateAnswers = document.get('allowPrivateAnswers')?.boolean();
  const inbound = document.get('inbound');
  const inboundPorts = inbound && readPorts(inbound);
  const shaping = readShaping(document.get('shaping'));
  const list = document.require('rules', '[] for no rule, or a list of rules, is legal')?.list();
  const title = name ?? document.value.place.file;
  const rules = (list ?? []).flatMap((each, index) => readRule(each, `${title} rule ${index + 1}`));
  document.end();
  const named = subject ? readSubject(subject) : undefined;
  return [
    {
      name: title,
      ...(named && { subject: named }),
      restricts: true,
      rules,
      ...(dns && { dns }),
      ...(allowPrivateAnswers !== undefined && { allowPrivateAnswers }),
      ...(inboundPorts && { inbound: inboundPorts }),
      ...(shaping && { shaping }),
    },
  ];
}

/* Names stand in events and lists, one a line. */
function parseTitle(text: string): string {
  if (/^(?=.*\S)[^\p{C}\p{Zl}\p{Zp}]{1,200}$/u.test(text)) return text;
  throw new UsageError(`name "${text}" is not legal: 1 to 200 characters of one line are`);
}

function readSubject(value: Value): Subject | undefined {
  return value.parse(parseSubject, LEGAL_SUBJECT);
}

function readShaping(value: Value | undefined): Shaping | undefined {
  const map = value?.map('a map with "rate" and "ceil" is legal');
  if (!map) return undefined;
  const rate = map.require('rate', 'one such as 10mbit is legal')?.parse((text) => parseRate(text, 'rate'));
  const ceil = map.get('ceil')?.parse((text) => parseRate(text, 'ceil'));
  map.end();
  if (rate === undefined) return undefined;
  if (ceil !== undefined && ceil < rate)
    return map.value.error('has a ceil below its rate: as much or more is legal');
  return makeShaping(rate, ceil);
}

/* An empty list stands for nothing, an absent one for anything. */
function readRule(value: Value, title: string): Rule[] {
  const map = value.map('a rule is a map with "names", "suffixes", "cidrs", "ports" and "action"');
  if (!map) return [];
  const source = map.get('name')?.parse(parseTitle, 'the name of the rule is legal') ?? title;
  const action = map.get('action')?.word(ACTIONS) ?? 'allow';
  const names = map.get('names');
  const suffixes = map.get('suffixes');
  const cidrs = map.get('cidrs');
  const portList = map.get('ports');
  const whos: Who[] = [
    ...readEach(names, (each) => each.parse(parsePattern, 'a name such as www.example.com is legal')),
    ...readEach(suffixes, (each) => each.parse(parseSuffix, 'a suffix such as .example.com is legal')),
    ...readEach(cidrs, readBlock),
  ];
  if (!names && !suffixes && !cidrs) whos.push({ kind: 'any' });
  const ports = portList ? readPorts(portList) : [];
  map.end();
  if (portList && action === 'deny' && whos.some((who) => !isByAddress(who))) {
    return portList.error('limits a rule that denies names: a lookup has no port, so leave it out') ?? [];
  }
  if (action === 'deny') {
    if (whos.length === 0)
      value.warn('denies nothing: what it lists is empty, and an absent list is anything');
    else if (portList && ports.length === 0)
      portList.warn('is empty, so the rule denies nothing: without "ports" it denies every port');
  }
  if (portList && ports.length === 0) return []; // of nothing
  return whos.map((who) => ({ who, action, ports, source }));
}

function readEach<T>(value: Value | undefined, read: (each: Value) => T | undefined): T[] {
  return (value?.list('a list is legal, [] for none') ?? []).flatMap((each) => read(each) ?? []);
}

function readPorts(value: Value): PortRange[] {
  const ports = mergePorts(
    readEach(value, (each) => {
      const text = each.scalarText('a port such as 443/tcp is legal');
      return text === undefined ? undefined : each.attempt(() => parsePort(text));
    }).flat(),
  );
  if (ports.length > MAX_PORTS) {
    value.error(
      `makes ${ports.length} ranges of ports: at most ${MAX_PORTS} are legal, and a port without protocol makes two`,
    );
  }
  return ports;
}

function readBlock(value: Value): Who | undefined {
  if (!value.isMap) return readPrefix(value, PREFIX);
  const map = value.map();
  const prefix = map?.require('cidr', 'a prefix is legal');
  const except = map?.get('except');
  map?.end();
  return prefix && readPrefixes(prefix, except);
}
