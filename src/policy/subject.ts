import { UsageError } from '../errors.ts';

/** Whom a policy is for. */
export type Subject =
  /** All that leaves by the controlled interfaces. */
  | { readonly kind: 'host' }
  /** The processes of a cgroup, those below it included: a path below the cgroup2 mount, or a full one. */
  | { readonly kind: 'cgroup'; readonly path: string }
  /** Those of a systemd unit, such as unbound.service. */
  | { readonly kind: 'unit'; readonly unit: string }
  /** Those of the cgroup that a process is in. */
  | { readonly kind: 'pid'; readonly pid: number }
  /** A container by its name, or the beginning of its id. */
  | { readonly kind: 'container'; readonly name: string }
  /** Every container that has the label. */
  | { readonly kind: 'label'; readonly key: string; readonly value: string };

/** A subject that speaks of containers, which come and go. */
export type ContainerSubject = Subject & { readonly kind: 'container' | 'label' };

/** A subject that names a cgroup. */
export type CgroupSubject = Subject & { readonly kind: 'cgroup' | 'unit' | 'pid' };

export function isCgroupSubject(subject: Subject): subject is CgroupSubject {
  return subject.kind === 'cgroup' || subject.kind === 'unit' || subject.kind === 'pid';
}

export function isContainerSubject(subject: Subject): subject is ContainerSubject {
  return subject.kind === 'container' || subject.kind === 'label';
}

/** What texts of subjects are legal, for errors. */
export const LEGAL_SUBJECT =
  'host, cgroup:/PATH, unit:NAME, pid:NUMBER, container:NAME or label:KEY=VALUE is legal';

/** Parses the text of a subject: `host`, `cgroup:/system.slice`, `unit:unbound.service`. Throws UsageError. */
export function parseSubject(text: string): Subject {
  if (text === 'host') return { kind: 'host' };
  const [, kind, rest = ''] = /^(cgroup|unit|pid|container|label):(.+)$/u.exec(text) ?? [];
  switch (kind) {
    case 'cgroup':
      return parseCgroup(rest);
    case 'unit':
      return parseUnit(rest);
    case 'pid':
      return { kind, pid: parsePid(rest) };
    case 'container':
      return parseContainer(rest);
    case 'label':
      return parseLabel(rest);
    default:
      throw new UsageError(`subject "${text}" is not known: ${LEGAL_SUBJECT}`);
  }
}

/** As PATH_MAX, with its NUL. */
const MAX_PATH = 4_095;
/** Key and value; texts of subjects stand in errors and lists. */
const MAX_LABEL = 1_000;

/**
 * Parses the value of `-cgroup`: a path, `unit:NAME` or `pid:NUMBER`. A path that says the same has the same text: one
 * "/" between names, none behind them. Throws UsageError.
 */
export function parseCgroup(text: string): Subject {
  if (text.startsWith('unit:')) return parseUnit(text.slice('unit:'.length));
  if (text.startsWith('pid:')) return { kind: 'pid', pid: parsePid(text.slice('pid:'.length)) };
  if (text.length > MAX_PATH)
    throw new UsageError(`cgroup has a path of ${text.length} characters: at most ${MAX_PATH} are legal`);
  const names = text.split('/').filter((name) => name !== '');
  const isPath =
    text.startsWith('/') && !text.includes('\0') && !names.includes('.') && !names.includes('..');
  if (isPath) return { kind: 'cgroup', path: `/${names.join('/')}` };
  throw new UsageError(
    `cgroup "${text}" is not legal: a path that begins with /, without "." and "..", unit:NAME or pid:NUMBER is`,
  );
}

/** Parses a container's name or id. Throws UsageError. */
export function parseContainer(text: string): Subject {
  if (/^[A-Za-z0-9][A-Za-z0-9_.-]{0,127}$/u.test(text)) return { kind: 'container', name: text };
  throw new UsageError(
    `container "${text}" is no name or id of a container: letters, digits, "_", "." and "-" are legal`,
  );
}

/** Parses `KEY=VALUE`. Throws UsageError. */
export function parseLabel(text: string): Subject & { readonly kind: 'label' } {
  if (text.length > MAX_LABEL)
    throw new UsageError(`label has ${text.length} characters: at most ${MAX_LABEL} are legal`);
  const at = text.indexOf('=');
  if (at > 0) return { kind: 'label', key: text.slice(0, at), value: text.slice(at + 1) };
  throw new UsageError(`label "${text}" is not legal: KEY=VALUE is`);
}

/* As systemd takes names of units (unit_name_is_valid); a bare name is a service. */
function parseUnit(text: string): Subject {
  if (!/^[A-Za-z0-9:_.\\@-]{1,255}$/u.test(text)) {
    throw new UsageError(`unit "${text}" is no name of a unit: one such as unbound.service is legal`);
  }
  return {
    kind: 'unit',
    unit: /\.(?:service|slice|scope|socket|mount|swap)$/u.test(text) ? text : `${text}.service`,
  };
}

function parsePid(text: string): number {
  if (/^[1-9]\d{0,6}$/u.test(text)) return Number(text);
  throw new UsageError(`"${text}" is no process id: 1 to 9999999 is legal`);
}

/** The text that `parseSubject` takes. */
export function subjectText(subject: Subject): string {
  switch (subject.kind) {
    case 'host':
      return 'host';
    case 'cgroup':
      return `cgroup:${subject.path}`;
    case 'unit':
      return `unit:${subject.unit}`;
    case 'pid':
      return `pid:${subject.pid}`;
    case 'container':
      return `container:${subject.name}`;
    case 'label':
      return `label:${subject.key}=${subject.value}`;
    default:
      return subject satisfies never;
  }
}
