import { askControl } from '../control/client.ts';
import { controlPath } from '../enforcer/control-path.ts';
import { endLine } from '../suggest/seen.ts';
import type { Command } from './commands.ts';
import { mentionOthers } from './others.ts';
import type { SuggestOptions } from './suggest-flags.ts';

const NOT_ENFORCING = 3;

/**
 * Prints the list that would allow what a running enforcer saw. Exit code 0, 3 when no process runs. Throws UsageError,
 * SystemError.
 */
export async function runSuggest(options: SuggestOptions): Promise<number> {
  const { instance } = options;
  const command: Command = 'suggest';
  const answer = await askControl(controlPath(instance), { command, pid: process.pid });
  if (!answer) {
    process.stderr.write(
      `instance "${instance}": no process runs that could tell what it saw${mentionOthers(instance)}\n`,
    );
    return NOT_ENFORCING;
  }
  const lines: string[] = [];
  let text: string | undefined;
  for await (const line of answer) {
    lines.push(line);
    if (line !== endLine(lines.length - 1)) continue;
    // The enforcer leaves our own lookups of reverse names out for as long as the connection is open.
    text = await write(lines, options);
    break;
  }
  process.stdout.write(text ?? (await write(lines, options)));
  return 0;
}

async function write(lines: readonly string[], options: SuggestOptions): Promise<string> {
  const { writeSuggestion } = await import('./write-suggestion.ts');
  return writeSuggestion(lines, options);
}
