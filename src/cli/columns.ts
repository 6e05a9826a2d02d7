/** Cells wider than this do not make their column wider. */
const MAX_WIDTH = 48;

/**
 * Rows as lines, their cells padded so that columns stand below each other: the first to the left, those in `right`, by
 * index, to the right. Cells are safe for a terminal already.
 */
export function alignColumns(
  rows: readonly (readonly string[])[],
  right: readonly number[] = [],
  indent = '  ',
): string[] {
  const widths: number[] = [];
  for (const row of rows) {
    row.forEach((cell, index) => {
      widths[index] = Math.max(widths[index] ?? 0, Math.min(cell.length, MAX_WIDTH));
    });
  }
  return rows.map((row) => {
    const cells = row.map((cell, index) => {
      const width = widths[index] ?? 0;
      return right.includes(index) ? cell.padStart(width) : cell.padEnd(width);
    });
    return `${indent}${cells.join('  ')}`.trimEnd();
  });
}
