import { askControl } from '../control/client.ts';
import type { Taught } from './book.ts';
import { addressKey } from './book.ts';
import { readBook } from './book-file.ts';
import { parseBookLine } from './book-line.ts';
import { controlPath } from './control-path.ts';
import type { Explained, ToldByProcess } from './explained.ts';
import { RunDir } from './run-dir.ts';

/** Whoever asks for the status of a busy enforcer has it without names sooner than late. */
const ANSWER_LIMIT_MS = 1_000;

/**
 * What the process of an instance knows beside the kernel, or, where it does not answer in time, what it wrote down.
 * Never rejects: it only explains.
 */
export async function askProcess(instance: string): Promise<Explained> {
  const signal = AbortSignal.timeout(ANSWER_LIMIT_MS);
  const [told, names] = await Promise.all([askTold(instance, signal), askNames(instance, signal)]);
  const explained = names ?? namesOfFile(instance);
  return told ? { ...explained, told } : explained;
}

/** What a process tells of itself; undefined when none answers in time. Never rejects. */
export async function askTold(
  instance: string,
  signal: AbortSignal = AbortSignal.timeout(ANSWER_LIMIT_MS),
): Promise<ToldByProcess | undefined> {
  const [line] = (await askLines(instance, 'told', signal)) ?? [];
  const value: unknown = line === undefined ? undefined : JSON.parse(line);
  return isTold(value) ? value : undefined;
}

async function askNames(instance: string, signal: AbortSignal): Promise<Explained | undefined> {
  const lines = await askLines(instance, 'names', signal);
  return lines && { namesFrom: 'process', ...namesIn(lines.flatMap((line) => parseBookLine(line) ?? [])) };
}

function namesOfFile(instance: string): Explained {
  const lines = readBook(new RunDir(instance).namesPath);
  return { namesFrom: lines.length > 0 ? 'file' : 'nowhere', ...namesIn(lines) };
}

function namesIn(lines: readonly { key: string; taught: Taught[] }[]): Pick<Explained, 'namesOf'> {
  if (lines.length === 0) return { namesOf: () => [] };
  const names = new Map(lines.map(({ key, taught }) => [key, taught]));
  return { namesOf: (addr16) => names.get(addressKey(addr16)) ?? [] };
}

/* The answer, or, where time is over, what came of it: the latest names come first. */
async function askLines(
  instance: string,
  command: string,
  signal: AbortSignal,
): Promise<string[] | undefined> {
  try {
    const answer = await askControl(controlPath(instance), { command }, signal);
    if (!answer) return undefined;
    const lines: string[] = [];
    for await (const line of answer) lines.push(line);
    return signal.aborted && lines.length === 0 ? undefined : lines;
  } catch {
    return undefined; // too late, too busy, or an older process that does not know the question
  }
}

function isTold(value: unknown): value is ToldByProcess {
  if (typeof value !== 'object' || value === null) return false;
  const fields = new Map<string, unknown>(Object.entries(value));
  return ['events', 'readers', 'lostByReaders'].every((key) => typeof fields.get(key) === 'number');
}
