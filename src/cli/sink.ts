import { fstatSync } from 'node:fs';
import { type Level, severityOf } from '../flow/level.ts';

/** Where an output goes, as far as it matters for the form of its lines. */
export type Sink = 'journal' | 'terminal' | 'file' | 'other';

/**
 * Where descriptor `fd` goes. The journal's stream is the one whose device and inode JOURNAL_STREAM names
 * (systemd.exec(5)): the variable is inherited by processes whose outputs were redirected since.
 */
export function sinkOf(fd: number, { JOURNAL_STREAM: journal }: NodeJS.ProcessEnv, isTerminal = false): Sink {
  if (isTerminal) return 'terminal';
  try {
    const stat = fstatSync(fd, { bigint: true });
    if (journal !== undefined && journal === `${stat.dev}:${stat.ino}`) return 'journal';
    return stat.isFile() ? 'file' : 'other';
  } catch {
    return 'other'; // closed by whoever started us
  }
}

/** What stands in front of a line for the sink: the level where journald takes it off again (sd-daemon(3)), else nothing. */
export function levelMark(sink: Sink, level: Level): string {
  return sink === 'journal' ? `<${severityOf(level)}>` : '';
}
