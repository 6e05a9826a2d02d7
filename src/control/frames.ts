/** Characters of one line that are taken: no request is longer, and no event. */
export const MAX_LINE = 1 << 20;

/**
 * Cuts a stream of text into lines. `push` answers the lines that are whole now. Throws RangeError for a line of more
 * than `maxLength` characters, which is not kept.
 */
export class LineCutter {
  readonly #maxLength: number;
  #rest = '';

  constructor(maxLength: number = MAX_LINE) {
    this.#maxLength = maxLength;
  }

  push(text: string): string[] {
    const [first = '', ...others] = text.split('\n');
    const lines = [this.#rest + first, ...others];
    if (lines.some((line) => line.length > this.#maxLength))
      throw new RangeError(`Cannot take a line of more than ${this.#maxLength} characters`);
    this.#rest = lines.pop() ?? '';
    return lines;
  }
}
