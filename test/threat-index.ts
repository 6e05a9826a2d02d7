import { hasTitle, readTitles, type SourceTitles } from './source-titles.ts';

/** The index of threats, and the texts that it speaks of. */
export interface Documents {
  readonly index: string;
  readonly readme: string;
  readonly security: string;
  /** Source of what `doctor` says. */
  readonly doctor: string;
  /** Text of a test file of the checkout; undefined where there is none. */
  readonly source: (file: string) => string | undefined;
}

/** Where a threat is withstood; `user space`: in the process or before there is one. */
const MODES = new Set(['tc', 'subject', 'run', 'container', 'user space']);
const PROOF = /^(?<mode>[a-z ]+) `(?<file>[^ `]+) › (?<title>[^`]+)`$/u;
const NOT_HELD = /^not held(?<doctor>, doctor)? \((?<limit>[^)]+)\)(?:: (?<reason>.+))?$/u;

/**
 * What is wrong with the index, a sentence each. A line is `attempt | outcome | proof`, with one or more proofs, `<br>`
 * between them: MODE `FILE › TITLE`, or `not held (LIMIT): reason`, where LIMIT are words of README's limits and of the
 * threats of SECURITY.md, and with `, doctor` of what `doctor` says.
 */
export function findFaults(documents: Documents): string[] {
  const lines = documents.index.split('\n').filter((line) => line.startsWith('|'));
  const rows = lines.filter((line) => !/^\|[-|\s]+$|^\| attempt \|/u.test(line));
  if (rows.length === 0) return ['the index has no line'];
  const titles = new Map<string, SourceTitles>();
  return rows.flatMap((row) => faultsOfRow(row, documents, titles));
}

function faultsOfRow(row: string, documents: Documents, titles: Map<string, SourceTitles>): string[] {
  const cells = row
    .slice(1, -1)
    .split(' | ')
    .map((cell) => cell.trim());
  const [attempt = '', , proofs = ''] = cells;
  if (cells.length !== 3) return [`${attempt}: ${cells.length} columns, where 3 columns are legal`];
  return proofs.split('<br>').flatMap((proof) => {
    const fault = faultOfProof(proof.trim(), documents, titles);
    return fault === undefined ? [] : [`${attempt}: ${fault}`];
  });
}

function faultOfProof(
  proof: string,
  documents: Documents,
  titles: Map<string, SourceTitles>,
): string | undefined {
  const named = PROOF.exec(proof)?.groups;
  if (named) return faultOfTest(named, documents, titles);
  const limited = NOT_HELD.exec(proof)?.groups;
  if (limited) return faultOfLimit(limited, documents);
  return `has neither a test nor a limit: "${proof}"`;
}

type Groups = Readonly<Record<string, string | undefined>>;

function faultOfTest(
  { mode = '', file = '', title = '' }: Groups,
  documents: Documents,
  titles: Map<string, SourceTitles>,
): string | undefined {
  if (!MODES.has(mode)) return `"${mode}" is no mode: ${[...MODES].join(', ')} are legal`;
  const source = documents.source(file);
  if (source === undefined || !file.endsWith('.test.ts')) return `there is no file ${file} of tests`;
  const known = titles.get(file) ?? readTitles(source);
  titles.set(file, known);
  return hasTitle(known, title) ? undefined : `${file} has no title "${title}"`;
}

function faultOfLimit({ doctor, limit = '', reason }: Groups, documents: Documents): string | undefined {
  const says = (text: string) => text.toLowerCase().includes(limit.toLowerCase());
  if (!reason) return `"${limit}" is not held, without a reason`;
  if (!says(section(documents.readme, 'Limits'))) return `README's limits do not say "${limit}"`;
  if (!says(section(documents.security, 'Threats'))) return `SECURITY.md's threats do not say "${limit}"`;
  if (doctor && !says(documents.doctor)) return `doctor does not say "${limit}"`;
  return undefined;
}

/* The part of a document below a heading that begins so. */
function section(text: string, heading: string): string {
  return text.split(/^## /mu).find((part) => part.startsWith(heading)) ?? '';
}
