import type { Netns } from '../enforcer/netns.ts';
import { UsageError } from '../errors.ts';

/** Interface names, each once. Throws UsageError. */
export function parseInterfaces(name: 'iface' | 'eface', texts: readonly string[]): string[] {
  return [...new Set(texts.map((text) => parseInterface(name, text)))];
}

/** As the kernel takes names (dev_valid_name). */
function parseInterface(name: 'iface' | 'eface', text: string): string {
  const isLegal = /^[^\s/:]+$/u.test(text) && text !== '.' && text !== '..';
  if (text === '*' && name === 'iface')
    throw new UsageError(`-iface "*" is not legal: "*" is for -eface only`);
  if (isLegal && new TextEncoder().encode(text).length <= 15) return text;
  throw new UsageError(
    `-${name} "${text}" is no interface name: 1 to 15 bytes without "/", ":" and white space are legal`,
  );
}

/** Throws UsageError: the name is part of paths. */
export function parseInstance(text: string): string {
  if (/^[A-Za-z0-9][A-Za-z0-9_-]{0,31}$/u.test(text)) return text;
  throw new UsageError(
    `instance "${text}" is no legal name: 1 to 32 letters, digits, "_" or "-", the first a letter or digit`,
  );
}

/** Throws UsageError. */
export function parseNetns(text: string): Netns {
  const [, pid] = /^pid:(.*)$/su.exec(text) ?? [];
  if (pid !== undefined && /^[1-9]\d{0,6}$/u.test(pid)) return { kind: 'pid', pid: Number(pid) };
  const isPlain = pid === undefined && !text.includes('\0');
  if (isPlain && text.includes('/')) return { kind: 'path', path: text };
  if (isPlain && /^\S+$/u.test(text) && text !== '.' && text !== '..') return { kind: 'name', name: text };
  throw new UsageError(
    `netns "${text}" is not legal: a name below /run/netns, a path, or pid: and a process id is`,
  );
}
