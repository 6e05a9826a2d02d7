import { readFileSync } from 'node:fs';
import { uptime } from 'node:os';
import type { ToldByProcess } from './explained.ts';
import { nowUs } from './request-reload.ts';
import type { RunDir } from './run-dir.ts';

/** The process that holds an instance. What it tells of itself is absent when it did not answer. */
export interface ProcessStatus extends Partial<ToldByProcess> {
  readonly pid: number;
  readonly uptimeSeconds: number;
  readonly residentBytes: number;
}

/** How the last reload ended, at `at` in ISO 8601. */
export interface ReloadStatus {
  readonly at: string;
  readonly ok: boolean;
  /** What changed, or what is wrong. */
  readonly lines: readonly string[];
}

/* USER_HZ, which is 100 on every architecture that node runs on. */
const TICKS_PER_SECOND = 100;
const PAGE_BYTES = 4096;

/** Looks at a process; undefined for none, and for one of another PID namespace, which has the id 0. */
export function readProcess(
  pid: number | undefined,
  told: ToldByProcess | undefined,
): ProcessStatus | undefined {
  if (!pid) return undefined;
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    // Behind the name, which may hold anything: field 3 and on (proc(5)).
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    const startedAt = Number(fields[19]) / TICKS_PER_SECOND;
    return {
      pid,
      uptimeSeconds: Math.max(0, Math.round(uptime() - startedAt)),
      residentBytes: residentOf(pid) ?? Number(fields[21]) * PAGE_BYTES,
      ...told,
    };
  } catch {
    return undefined; // it ended just now
  }
}

/* The rest of stat counts in batches for each thread: this is exact. */
function residentOf(pid: number): number | undefined {
  const [, kilobytes] = /^VmRSS:\s+(\d+) kB$/mu.exec(readFileSync(`/proc/${pid}/status`, 'latin1')) ?? [];
  return kilobytes === undefined ? undefined : Number(kilobytes) * 1024;
}

/** The last reload, undefined when there was none since the instance was put in force. */
export function readReload(run: RunDir): ReloadStatus | undefined {
  const record = run.readReload();
  if (!record) return undefined;
  const agoMs = (nowUs() - record.begunUs) / 1000;
  return { at: new Date(Date.now() - agoMs).toISOString(), ok: record.ok, lines: record.lines };
}
