import { getPublicSuffix } from 'tldts';
import { bareAddresses, draftSuggestions, type SuggestionFormat } from '../suggest/draft.ts';
import { parseSeen } from '../suggest/parse-seen.ts';
import { renderDraft } from '../suggest/render-draft.ts';
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
    ...(fold && { isPublicSuffix }),
  });
  const reverse = await findReverseNames(bareAddresses(draft), answer.enforcing.resolvers);
  return renderDraft(draft, reverse);
}

/* Also those of the private part of the list: strangers have names below github.io. */
function isPublicSuffix(name: string): boolean {
  return getPublicSuffix(name, { allowPrivateDomains: true }) === name;
}
