import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Ajv, type ValidateFunction } from 'ajv';
import type { Status } from '../../src/enforcer/status.ts';
import { findCheckout } from '../lab/checkout.ts';
import type { Namespace } from '../lab/namespace.ts';
import { l7egg } from './robust-lab.ts';

const PATH = join(findCheckout(), 'src', 'presets', 'l7egg-status-v1.schema.json');

/* Readers take keys that they do not know; here each has to be described. */
function closed(schema: unknown): unknown {
  if (Array.isArray(schema)) return schema.map(closed);
  if (typeof schema !== 'object' || schema === null) return schema;
  const copy = Object.fromEntries(Object.entries(schema).map(([key, value]) => [key, closed(value)]));
  return 'properties' in copy && copy.type === 'object' ? { ...copy, additionalProperties: false } : copy;
}

const schema: unknown = JSON.parse(readFileSync(PATH, 'utf8'));
const ajv = new Ajv({ strict: true, formats: { 'date-time': isIsoTime } });
const isOpenValid: ValidateFunction = ajv.compile(Object(schema));
const isClosedValid: ValidateFunction = ajv.compile(Object(closed(schema)));

function isIsoTime(text: string): boolean {
  return /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/u.test(text);
}

/** Asserts that it is as the schema has it, and has no key that is not described there. */
export function assertStatus(status: unknown): asserts status is Status {
  assert.ok(isOpenValid(status), ajv.errorsText(isOpenValid.errors));
  assert.ok(isClosedValid(status), ajv.errorsText(isClosedValid.errors));
}

/** Whether a status is as the schema has it. */
export function isStatus(status: unknown): boolean {
  return isOpenValid(status);
}

/** What `status -json` says of an instance, as the schema has it. */
export async function statusJson(namespace: Namespace, instance: string): Promise<Status> {
  const { stdout, stderr } = await l7egg(namespace, 'status', '-json', `-instance=${instance}`);
  assert.equal(stderr, '');
  const status: unknown = JSON.parse(stdout);
  assertStatus(status);
  return status;
}
