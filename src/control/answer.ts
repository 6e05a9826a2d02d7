/** The answer to one request: lines, until it is ended. A line is never empty: an empty one says that all was sent. */
export interface Answer {
  /** Sends text, lines with their line breaks. Answers whether the reader keeps up; text is never lost. */
  send(text: string): boolean;
  /** Calls back once the reader has caught up. */
  onceReady(act: () => void): void;
  /** Ends the answer behind what was sent. Idempotent. */
  end(): void;
  /**
   * Calls back when the server is about to end, so that what is left is sent as the reader takes it, and the answer
   * ended behind it. One that is not ended within half a second is cut off, and is not whole.
   */
  onceEnding(act: () => void): void;
  /** Calls back when the connection is over, whoever ended it. */
  onceClosed(act: () => void): void;
}

/** Handles one kind of request; what it throws is the answer. `request` is whatever JSON object the client sent. */
export type Handler = (request: ReadonlyMap<string, unknown>, answer: Answer) => void | Promise<void>;
