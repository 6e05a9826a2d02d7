import type { Progress } from '../formats/read-documents.ts';

const PROGRESS_AFTER_MS = 1_000;

/** Shows how far policy files are read, where that takes long and stderr is a terminal. */
export function showProgress(): Progress {
  const begun = Date.now();
  let isShown = false;
  return async (at, of) => {
    await new Promise((resolve) => setImmediate(resolve));
    if (!process.stderr.isTTY || Date.now() - begun < PROGRESS_AFTER_MS) return;
    if (at < of || isShown)
      process.stderr.write(`\rreading policies: ${Math.floor((100 * at) / of)} %\u001b[K`);
    isShown = at < of;
    if (!isShown) process.stderr.write('\r\u001b[K');
  };
}
