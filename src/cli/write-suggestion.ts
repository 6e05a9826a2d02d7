import { bareAddresses, draftSuggestions, type SuggestionFormat } from '../suggest/draft.ts';
import { parseSeen } from '../suggest/parse-seen.ts';
import { renderDraft } from '../suggest/render-draft.ts';
import { hasStrangersBelow } from './public-suffixes.ts';
import { findReverseNames } from './reverse-names.ts';

/** How a list is wanted; see `Wish`. */
export interface ListOptions {
  readonly format: SuggestionFormat;
  readonly fold: boolean;
  readonly sinceMs?: number;
  readonly subject?: string;
}

/** Makes the list of what an enforcer answered, with the reverse names of bare addresses. Throws UsageError, SyntaxError. */
export async function writeSuggestion(lines: readonly string[], options: ListOptions): Promise<string> {
  const { format, fold, sinceMs, subject } = options;
  const answer = parseSeen(lines);
  const draft = draftSuggestions(answer, {
    format,
    ...(sinceMs !== undefined && { sinceMs }),
    ...(subject !== undefined && { subject }),
    ...(fold && { isShared: hasStrangersBelow }),
  });
  const reverse = await findReverseNames(bareAddresses(draft), answer.enforcing.resolvers);
  return renderDraft(draft, reverse);
}
