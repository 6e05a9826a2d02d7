/** A message that a stream brought; `id` is where to go on from after it. */
export interface StreamMessage {
  readonly kind: string;
  readonly lines: readonly string[];
  readonly id?: string;
}

/** A line that is longer is none of ours. */
const MAX_LINE = 1 << 20;

/**
 * Takes a stream of server-sent events (HTML Standard, 9.2.6) apart, piece by piece as it comes. Comments and fields
 * that are not used here are left out.
 */
export class StreamParser {
  #rest = '';
  #kind = 'message';
  #id: string | undefined;
  #lines: string[] = [];

  /** The messages that `text` completes. Throws RangeError for a line that has no end. */
  push(text: string): StreamMessage[] {
    const lines = (this.#rest + text).split('\n');
    this.#rest = lines.pop() ?? '';
    if (this.#rest.length > MAX_LINE) throw new RangeError('a line of the stream has no end');
    return lines.flatMap((line) => (line === '' ? this.#end() : this.#take(line)));
  }

  #take(line: string): StreamMessage[] {
    const [, name, value = ''] = /^([^:]*):? ?(.*)$/su.exec(line) ?? [];
    if (name === 'data') this.#lines.push(value);
    else if (name === 'event') this.#kind = value;
    else if (name === 'id') this.#id = value;
    return [];
  }

  #end(): StreamMessage[] {
    const message = { kind: this.#kind, lines: this.#lines, ...(this.#id !== undefined && { id: this.#id }) };
    this.#kind = 'message';
    this.#id = undefined;
    this.#lines = [];
    return message.lines.length > 0 ? [message] : [];
  }
}
