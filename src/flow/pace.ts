/**
 * Makes a caller-back that calls at once after a pause of `ms`, and else when `ms` have passed since the last call:
 * what comes one by one is handed on without delay, what comes in a stream in few pieces, for each wakes its reader.
 */
export function makePace(ms: number): (act: () => void) => void {
  let calledMs = Number.NEGATIVE_INFINITY;
  return (act) => {
    const call = () => {
      calledMs = performance.now();
      act();
    };
    const restMs = calledMs + ms - performance.now();
    if (restMs > 0) setTimeout(call, restMs);
    else setImmediate(call);
  };
}
