import { escapeControl } from './escape.ts';
import type { Event } from './event.ts';
import { toJson } from './render-json.ts';

/** What stands between two events. */
export const DICT_SEPARATOR = '------------';

/**
 * An event as lines `key: value`, the keys of its JSON form lined up to the right; what is not known is left out.
 * Without the line break behind the last.
 */
export function renderDict(event: Event): string {
  const entries = Object.entries(toJson(event)).filter(([, value]) => value !== undefined);
  const width = Math.max(...entries.map(([key]) => key.length));
  return entries.map(([key, value]) => `${key.padStart(width)}: ${escapeControl(format(value))}`).join('\n');
}

function format(value: unknown): string {
  if (Array.isArray(value)) return value.map(format).join(', ');
  if (typeof value === 'object' && value !== null) return Object.values(value).map(format).join(' until ');
  return String(value);
}
