import { runCheck } from './check.ts';
import { runCompletion } from './completion.ts';
import { runDoctor } from './doctor.ts';
import { runEnd } from './end.ts';
import { helpText } from './help.ts';
import { runObserve } from './observe.ts';
import type { EnforceOptions, Options, RunOptions } from './options.ts';
import { runPresets } from './presets.ts';
import { runReload } from './reload.ts';
import { runStatus } from './status.ts';
import { runSuggest } from './suggest.ts';
import { runWatch } from './watch.ts';

/** What asks an enforcer, or the package itself, and ends. */
export type AskOptions = Exclude<Options, EnforceOptions | RunOptions | { readonly command: 'version' }>;

/** Runs one of these commands and answers its exit code. Throws what they throw. A bundle of its own: no enforcer needs it. */
export function runAsking(options: AskOptions): number | Promise<number> {
  switch (options.command) {
    case 'help':
      process.stdout.write(helpText(options.about));
      return 0;
    case 'status':
      return runStatus(options);
    case 'observe':
      return runObserve(options);
    case 'suggest':
      return runSuggest(options);
    case 'watch':
      return runWatch(options);
    case 'reload':
      return runReload(options);
    case 'check':
    case 'explain':
      return runCheck(options);
    case 'presets':
      return runPresets(options);
    case 'completion':
      return runCompletion(options);
    case 'stop':
    case 'clean':
      return runEnd(options);
    case 'doctor':
      return runDoctor(options);
    default:
      return options satisfies never;
  }
}
