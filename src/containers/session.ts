import { KeyedQueue } from './keyed-queue.ts';

/**
 * Runs `act` until it ends, a task of its queue fails or `closing` aborts, whichever is first; `signal` aborts then,
 * and ends what `act` left under way. Rejects with what was first.
 */
export async function runSession(
  closing: AbortSignal,
  act: (queue: KeyedQueue, signal: AbortSignal) => Promise<void>,
): Promise<void> {
  const over = new AbortController();
  const signal = AbortSignal.any([closing, over.signal]);
  const aborted = new Promise<never>((_, reject) => {
    signal.addEventListener('abort', () => reject(signal.reason), { once: true });
  });
  const queue = new KeyedQueue((failure) => over.abort(failure));
  try {
    await Promise.race([act(queue, signal), aborted]);
  } finally {
    over.abort();
  }
}
