import { readFileSync } from 'node:fs';
import { findPreset, listPresets } from '../enforcer/presets.ts';
import { UsageError } from '../errors.ts';
import { suggest } from '../wording.ts';

/** Which presets there are, or the text of one. */
export type PresetsOptions = { readonly command: 'presets' } & (
  | { readonly action: 'list' }
  | { readonly action: 'show'; readonly name: string }
);

const ACTIONS = ['list', 'show'];

/** Parses what stands behind `presets`; nothing means `list`. Throws UsageError. */
export function parsePresets([action = 'list', name]: readonly string[]): PresetsOptions {
  const command = 'presets';
  if (action === 'show') {
    if (name !== undefined) return { command, action, name };
    throw new UsageError('presets show needs a name: presets list has them');
  }
  if (action !== 'list')
    throw new UsageError(
      `"${action}" is nothing that presets does${suggest(action, ACTIONS) || ': list or show NAME is legal'}`,
    );
  if (name === undefined) return { command, action };
  throw new UsageError(`"${name}" is one argument too many for presets list`);
}

/** Writes the list, or the file as it is. Throws UsageError for a name that is none. */
export function runPresets(options: PresetsOptions): number {
  if (options.action === 'show') {
    process.stdout.write(readFileSync(findPreset(options.name)));
    return 0;
  }
  const presets = listPresets();
  const width = Math.max(...presets.map(({ name }) => name.length));
  process.stdout.write(
    presets.map(({ name, description }) => `${name.padEnd(width)}  ${description}\n`).join(''),
  );
  return 0;
}
