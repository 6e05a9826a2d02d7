import { FILTERS, type FilterTexts } from '../flow/filter.ts';

/** What a shell takes for this very text. */
const PLAIN = /^[\w@%+=:,./-]+$/u;

/** The command that shows the same in a terminal. */
export function observeCommand(instance: string, texts: FilterTexts): string {
  const flags = FILTERS.flatMap((name) =>
    texts[name].length > 0 ? [`-${name}=${texts[name].join(',')}`] : [],
  );
  return ['l7egg-cli', 'observe', '-f', `-instance=${instance}`, ...flags].map(quote).join(' ');
}

function quote(word: string): string {
  return PLAIN.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
}
