import { parseSince } from '../flow/filter.ts';
import { parseSubject, subjectText } from '../policy/subject.ts';
import { SUGGESTION_FORMATS } from './flags.ts';
import type { Normalised } from './normalise.ts';

/** Which list is wanted. */
export interface SuggestOptions {
  readonly command: 'suggest';
  readonly instance: string;
  readonly format: (typeof SUGGESTION_FORMATS)[number];
  readonly fold: boolean;
  readonly sinceMs?: number;
  readonly subject?: string;
}

/** Throws UsageError. */
export function parseSuggest(instance: string, values: Normalised['values']): SuggestOptions {
  const since = values.get('since')?.[0];
  const subject = values.get('subject')?.[0];
  return {
    command: 'suggest',
    instance,
    format: SUGGESTION_FORMATS.find((each) => each === values.get('format')?.[0]) ?? 'flags',
    fold: values.get('fold')?.[0] === 'true',
    ...(since !== undefined && { sinceMs: parseSince(since, Date.now()) }),
    ...(subject !== undefined && { subject: subjectText(parseSubject(subject)) }),
  };
}
