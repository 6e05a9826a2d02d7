import type { Taught } from './book.ts';

/**
 * What a book says of an address, as one line of JSON with its line break: the address in hex, then each name with the
 * rule for which it taught, the latest first. @param key as `addressKey` writes it
 */
export function encodeBookLine(key: string, taught: readonly Taught[]): string {
  const names = taught.map(({ name, ruleId }) => [name, ruleId]);
  return `${JSON.stringify([Buffer.from(key, 'latin1').toString('hex'), names])}\n`;
}

/** The parts of a line that `encodeBookLine` wrote; undefined for any other. */
export function parseBookLine(line: string): { key: string; taught: Taught[] } | undefined {
  const value = parseJson(line);
  if (!Array.isArray(value)) return undefined;
  const [hex, names]: readonly unknown[] = value;
  if (typeof hex !== 'string' || !/^[0-9a-f]{32}$/u.test(hex) || !Array.isArray(names)) return undefined;
  const taught = names.flatMap((pair: unknown) => {
    const [name, ruleId]: readonly unknown[] = Array.isArray(pair) ? pair : [];
    return typeof name === 'string' && typeof ruleId === 'number' ? { name, ruleId } : [];
  });
  return { key: Buffer.from(hex, 'hex').toString('latin1'), taught };
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined; // not ours
  }
}
