import { type Painter, PLAIN } from '../flow/render-text.ts';

/** The colours of a terminal, none where it has none or NO_COLOR says so. */
export async function terminalColours(): Promise<Painter> {
  if (process.env.NO_COLOR) return PLAIN; // no-color.org
  const { default: chalk } = await import('chalk');
  return { allow: chalk.green, deny: chalk.red, wouldDeny: chalk.yellow, dim: chalk.dim, strong: chalk.bold };
}
