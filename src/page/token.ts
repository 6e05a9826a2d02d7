import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';

const RANDOM_BYTES = 24;

/** What somebody has to show to be told anything: 192 random bits, made at the start and kept in memory only. */
export class Token {
  readonly text = randomBytes(RANDOM_BYTES).toString('base64url');
  readonly #digest = digest(this.text);

  /** Whether `shown` is the token; takes as long whatever it is. */
  matches(shown: string): boolean {
    return timingSafeEqual(digest(shown), this.#digest);
  }
}

/* Of one length, whatever was shown: that is what a comparison in constant time needs. */
function digest(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}
