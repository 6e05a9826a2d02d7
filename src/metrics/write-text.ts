import type { MetricObjectWithValues, MetricValue } from 'prom-client';
import type { Turns } from './turns.ts';

/**
 * A counter or gauge with its series in the text exposition format of Prometheus, 0.0.4, line by line. prom-client writes a metric
 * at one go, which takes 10 ms for 2,000 series; this gives turns.
 */
export async function writeText(
  { name, help, type, values }: MetricObjectWithValues<MetricValue<string>>,
  turns: Turns,
): Promise<string> {
  const lines = [`# HELP ${name} ${escapeHelp(help)}`, `# TYPE ${name} ${type}`];
  for (const { labels, value } of values) {
    const texts = Object.entries(labels).map(([label, text]) => `${label}="${escapeLabel(`${text}`)}"`);
    lines.push(`${name}${texts.length > 0 ? `{${texts.join(',')}}` : ''} ${formatValue(value)}`);
    await turns.give();
  }
  return `${lines.join('\n')}\n`;
}

function escapeHelp(text: string): string {
  return text.replaceAll('\\', '\\\\').replaceAll('\n', '\\n');
}

function escapeLabel(text: string): string {
  return escapeHelp(text).replaceAll('"', '\\"');
}

function formatValue(value: number): string {
  if (Number.isFinite(value)) return `${value}`;
  if (Number.isNaN(value)) return 'NaN';
  return value > 0 ? '+Inf' : '-Inf';
}
