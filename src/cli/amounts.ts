/** Bytes as people write them: `812 B`, `4.0 kB`, `104 MB`. */
export function formatBytes(bytes: number): string {
  for (const [unit, size] of UNITS) if (bytes >= size) return `${digits(bytes / size)} ${unit}`;
  return `${bytes} B`;
}

const UNITS = [
  ['GB', 1e9],
  ['MB', 1e6],
  ['kB', 1e3],
] as const;

function digits(value: number): string {
  return value < 10 ? value.toFixed(1) : `${Math.round(value)}`;
}

/** A time span as people say it, by its two largest units: `3 d 4 h`, `2 min 5 s`. */
export function formatSpan(seconds: number): string {
  const parts: string[] = [];
  let rest = Math.max(0, Math.floor(seconds));
  for (const [unit, size] of SPANS) {
    const count = Math.floor(rest / size);
    if (count > 0 || parts.length > 0) parts.push(`${count} ${unit}`);
    rest -= count * size;
    if (parts.length === 2) break;
  }
  return parts.filter((part) => !part.startsWith('0 ')).join(' ') || '0 s';
}

const SPANS = [
  ['d', 86_400],
  ['h', 3_600],
  ['min', 60],
  ['s', 1],
] as const;
