import type { Pty } from '../test/lab/pty.ts';

const CELL = { width: 8.4, height: 18, font: 14 };
const EDGE = 12;
const PAPER = '#14171c';
const INK = '#d3d7de';
/* The first eight colours of a terminal. */
const COLOURS = ['#14171c', '#e5656b', '#7fc46f', '#d9b45b', '#6ea6e8', '#c58be0', '#5fbfc2', '#d3d7de'];
const DIM = '#7c8490';

/** What a run of characters of one look is. */
interface Run {
  readonly text: string;
  readonly look: string;
}

/** The screen of a terminal as a picture: SVG text, so it is small and can be searched. */
export function renderSvg({ terminal }: Pty, title: string): string {
  const { active } = terminal.buffer;
  const width = Math.ceil(terminal.cols * CELL.width + 2 * EDGE);
  const height = terminal.rows * CELL.height + 2 * EDGE;
  const lines = Array.from({ length: terminal.rows }, (_, row) => {
    const runs = readRuns(active.getLine(active.viewportY + row));
    const y = EDGE + row * CELL.height + CELL.font;
    const spans = runs.map(({ text, look }) => `<tspan${look}>${escapeXml(text)}</tspan>`).join('');
    return spans === '' ? '' : `<text x="${EDGE}" y="${y}">${spans}</text>\n`;
  });
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" role="img">
<title>${escapeXml(title)}</title>
<style>text{font:${CELL.font}px ui-monospace,SFMono-Regular,Menlo,Consolas,"DejaVu Sans Mono",monospace;fill:${INK};white-space:pre}</style>
<rect width="${width}" height="${height}" rx="8" fill="${PAPER}"/>
${lines.join('')}</svg>
`;
}

type Line = ReturnType<Pty['terminal']['buffer']['active']['getLine']>;

function readRuns(line: Line): Run[] {
  const runs: Run[] = [];
  const end = line?.translateToString(true).length ?? 0;
  for (let column = 0; column < end; column++) {
    const cell = line?.getCell(column);
    if (!cell || cell.getWidth() === 0) continue;
    const fill = cell.isFgDefault() ? (cell.isDim() ? DIM : undefined) : COLOURS[cell.getFgColor() % 8];
    const look = `${fill === undefined ? '' : ` fill="${fill}"`}${cell.isBold() ? ' font-weight="bold"' : ''}`;
    const text = cell.getChars() || ' ';
    const last = runs.at(-1);
    if (last?.look === look) runs[runs.length - 1] = { text: last.text + text, look };
    else runs.push({ text, look });
  }
  return runs;
}

function escapeXml(text: string): string {
  return text
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;');
}
