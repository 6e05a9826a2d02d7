import { encodeJsonLine } from '../flow/escape.ts';

/** Words that YAML takes for text, whatever its version: the host, names with a dot, and ports. */
const PLAIN = /^(?:host|[a-z][a-z0-9_-]*(?:\.[a-z0-9_-]+)+|\d{1,5}(?:-\d{1,5})?\/(?:tcp|udp|sctp))$/u;

/** `text` as a scalar of YAML on one line: plain where no reader could take it for anything else, else in quotes. */
export function yamlText(text: string): string {
  return PLAIN.test(text) ? text : encodeJsonLine([text]).slice(1, -1);
}

/** The lines of `- text` below a key; `indent` is how far the dash stands. `remarkOf`: what stands behind an item. */
export function yamlList(
  texts: readonly string[],
  indent: number,
  remarkOf: (text: string) => string = () => '',
): string[] {
  return texts.map((text) => {
    const remark = remarkOf(text);
    return `${' '.repeat(indent)}- ${yamlText(text)}${remark === '' ? '' : ` # ${remark}`}`;
  });
}
