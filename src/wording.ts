/** What is legal, at the end of an error: `a`, `a or b`, `a, b or c`. */
export function anyOf(words: readonly string[]): string {
  const last = words.at(-1) ?? 'nothing';
  return words.length > 1 ? `${words.slice(0, -1).join(', ')} or ${last}` : last;
}

/** As `anyOf`, each word quoted. */
export function anyQuoted(words: readonly string[]): string {
  return anyOf(words.map((word) => `"${word}"`));
}

/** The nearest of `known` to a mistyped word, as `, did you mean "-iface"?`; empty when none is near. */
export function suggest(word: string, known: readonly string[], dash = ''): string {
  const lower = word.toLowerCase();
  const begun =
    lower.length > 2 ? known.find((candidate) => candidate.toLowerCase().startsWith(lower)) : undefined;
  const near = known
    .filter(({ length }) => Math.abs(length - lower.length) <= 2) // others are further away, and may be megabytes
    .map((candidate) => ({ candidate, distance: editDistance(lower, candidate.toLowerCase()) }))
    .filter(({ distance }) => distance <= 2 && distance < lower.length)
    .sort((a, b) => a.distance - b.distance)
    .at(0);
  const found = near?.distance === 1 ? near.candidate : (begun ?? near?.candidate);
  return found === undefined ? '' : `, did you mean "${dash}${found}"?`;
}

/** Letters to insert, delete, replace or swap with their neighbour (optimal string alignment). */
function editDistance(a: string, b: string): number {
  let older: number[] = [];
  let last = Array.from({ length: b.length + 1 }, (_, column) => column);
  for (let row = 1; row <= a.length; row += 1) {
    const current = [row];
    for (let column = 1; column <= b.length; column += 1) {
      const at = (cells: readonly number[], back: number): number => cells[column - back] ?? 0;
      const isSame = a[row - 1] === b[column - 1];
      let best = Math.min(at(last, 0) + 1, at(current, 1) + 1, at(last, 1) + (isSame ? 0 : 1));
      if (row > 1 && column > 1 && a[row - 1] === b[column - 2] && a[row - 2] === b[column - 1]) {
        best = Math.min(best, at(older, 2) + 1);
      }
      current.push(best);
    }
    older = last;
    last = current;
  }
  return last[b.length] ?? 0;
}
