import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { UsageError } from '../errors.ts';
import { anyOf, suggest } from '../wording.ts';

/** The folder lies beside the bundle. */
const FOLDER = fileURLToPath(new URL('presets', import.meta.url));
const SUFFIX = '.yaml';

/** A policy file that comes with the package. */
export interface Preset {
  readonly name: string;
  /** The comment in its first line. */
  readonly description: string;
}

/** All of them by name. */
export function listPresets(): Preset[] {
  return presetNames().map((name) => {
    const [, description = ''] = /^# (.*)\n/u.exec(readFileSync(pathOf(name), 'utf8')) ?? [];
    return { name, description };
  });
}

/** The path of the preset's file. Throws UsageError for a name that is none. */
export function findPreset(name: string): string {
  const names = presetNames();
  if (names.includes(name)) return pathOf(name);
  throw new UsageError(
    `preset "${name}" is not there${suggest(name, names) || `: ${anyOf(names)} is legal`}`,
  );
}

function presetNames(): string[] {
  return readdirSync(FOLDER)
    .filter((file) => file.endsWith(SUFFIX))
    .map((file) => file.slice(0, -SUFFIX.length))
    .sort();
}

function pathOf(name: string): string {
  return `${FOLDER}/${name}${SUFFIX}`;
}
