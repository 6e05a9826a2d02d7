import { readFileSync } from 'node:fs';
import { isIPv4, isIPv6 } from 'node:net';
import { join } from 'node:path';
import { Ajv, type ValidateFunction } from 'ajv';
import { findCheckout } from '../lab/checkout.ts';

/** The JSON Schema of events that comes with the package. */
export const SCHEMA_PATH = join(findCheckout(), 'src', 'presets', 'l7egg-event-v1.schema.json');

let compiled: ValidateFunction | undefined;

/** Throws what is wrong with `value`, the event of a line, by the schema. Compiles it once, at the first call. */
export function checkEvent(value: unknown): void {
  compiled ??= compile();
  if (compiled(value)) return;
  const errors = (compiled.errors ?? []).map(({ instancePath, message }) => `${instancePath} ${message}`);
  throw new Error(
    `Cannot take an event: its schema says ${errors.join(', ')}:\n${JSON.stringify(value, null, 2)}`,
  );
}

function compile(): ValidateFunction {
  const ajv = new Ajv({ strict: true, strictRequired: false });
  ajv.addFormat('date-time', (text: string) => Number.isFinite(Date.parse(text)));
  ajv.addFormat('ipv4', isIPv4);
  ajv.addFormat('ipv6', (text: string) => isIPv6(text) && !text.includes('%'));
  return ajv.compile(JSON.parse(readFileSync(SCHEMA_PATH, 'utf8')));
}
