import { readFileSync } from 'node:fs';

/** The processes above this one, the parent first, up to process 1. */
export function ancestors(): number[] {
  const pids: number[] = [];
  for (let pid = process.ppid; pid > 0; pid = parentOf(pid)) pids.push(pid);
  return pids;
}

function parentOf(pid: number): number {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    return Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]) || 0;
  } catch {
    return 0; // gone: the chain ends here
  }
}
