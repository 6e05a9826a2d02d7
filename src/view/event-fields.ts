import { escapeControl } from '../flow/escape.ts';
import type { Event } from '../flow/event.ts';
import { toJson } from '../flow/render-json.ts';

/** Every field that an event has, under its name in the JSON form, with its text, escaped; a list has a line each. */
export function fieldsOf(event: Event): [name: string, text: string][] {
  return Object.entries(toJson(event)).flatMap(([name, value]): [string, string][] => {
    const text = textOf(value);
    return text === '' ? [] : [[name, text]];
  });
}

function textOf(value: unknown): string {
  if (value === undefined || value === null) return '';
  if (Array.isArray(value)) return value.map(textOf).join('\n');
  if (typeof value === 'object') return Object.values(value).map(textOf).join(' until ');
  return escapeControl(String(value));
}
