import { existsSync } from 'node:fs';
import { setTimeout as pause } from 'node:timers/promises';
import { RUN_ROOT } from '../../src/enforcer/run-dir.ts';
import { checkEvent } from '../flow/event-schema.ts';
import { findCli } from '../lab/checkout.ts';
import type { Namespace } from '../lab/namespace.ts';
import type { Exit, Process } from '../lab/process.ts';
import { patient } from '../lab/wait.ts';

/** A line of `-log=json`, as far as tests look at it. */
export interface LoggedEvent {
  readonly ts: string;
  readonly seq: number;
  readonly kind: string;
  readonly verdict?: string;
  readonly reason?: string;
  readonly rule?: string;
  readonly family?: string;
  readonly proto?: string;
  readonly src?: string;
  readonly sport?: number;
  readonly dst?: string;
  readonly dport?: number;
  readonly names?: readonly string[];
  readonly qname?: string;
  readonly qtype?: string;
  readonly unparsed?: string;
  readonly addresses?: readonly string[];
  readonly iface?: string;
  readonly policy?: string;
  readonly subject?: string;
  readonly leases?: readonly { readonly name: string; readonly ends: string }[];
  readonly action?: string;
  readonly message?: string;
  readonly pid?: number;
  readonly comm?: string;
  readonly exe?: string;
  readonly uid?: number;
  readonly cgroup?: string;
  readonly container?: string;
  readonly icmp_type?: number;
  readonly rcode?: string;
  readonly lines?: readonly string[];
  readonly bytes?: number;
  readonly packets?: number;
  readonly bytes_in?: number;
  readonly packets_in?: number;
  readonly count?: number;
  readonly window_ms?: number;
  readonly lost?: number;
}

/** What may be said about one enforcer; `instance` is one of this process by default. */
export interface EnforcerOptions {
  readonly instance?: string;
  readonly log?: 'json' | 'text';
}

const READY_LIMIT_MS = 15_000;
let started = 0;

/** The real command in a lab namespace. Pins that a killed one leaves go with the namespace. */
export class RunningEnforcer {
  readonly process: Process;
  readonly instance: string;
  readonly #events: LoggedEvent[] = [];
  readonly #waiting = new Set<(event: LoggedEvent) => void>();

  constructor(process: Process, instance: string, log: 'json' | 'text') {
    this.process = process;
    this.instance = instance;
    if (log === 'text') return;
    process.onLine(({ stream, text }) => {
      if (stream === 'stdout') this.#take(JSON.parse(text));
    });
  }

  /** What it told so far, oldest first; `since` is a length that `events()` had. */
  events(since = 0): readonly LoggedEvent[] {
    return this.#events.slice(since);
  }

  /** What it wrote to stderr so far. */
  remarks(): readonly string[] {
    return this.process.lines.filter(({ stream }) => stream === 'stderr').map(({ text }) => text);
  }

  /** Resolves with the first event, at or after `since`, that `predicate` wants. Rejects with the last ones. */
  async waitForEvent(
    predicate: (event: LoggedEvent) => boolean,
    limitMs = 2_000,
    since = 0,
  ): Promise<LoggedEvent> {
    const present = this.events(since).find(predicate);
    if (present !== undefined) return present;
    const over = new AbortController();
    let listener = (_event: LoggedEvent): void => {};
    const arrival = new Promise<LoggedEvent>((resolve) => {
      listener = (event) => {
        if (predicate(event)) resolve(event);
      };
    });
    this.#waiting.add(listener);
    try {
      const event = await Promise.race([
        arrival,
        pause(patient(limitMs), undefined, { signal: over.signal }),
      ]);
      if (event !== undefined) return event;
    } finally {
      this.#waiting.delete(listener);
      over.abort();
    }
    const last = this.events(since)
      .slice(-20)
      .map((one) => JSON.stringify(one));
    throw new Error(
      `Cannot wait for ${predicate}: not told within ${patient(limitMs)} ms\n${last.join('\n')}`,
    );
  }

  /** As SIGTERM ends it: open, with nothing left. Resolves once it has ended. */
  async stop(): Promise<Exit> {
    this.process.kill('SIGTERM');
    return this.process.exited;
  }

  /* What is not by the schema fails the test, whatever it looks at. */
  #take(event: LoggedEvent): void {
    checkEvent(event);
    this.#events.push(event);
    for (const listener of this.#waiting) listener(event);
  }
}

/** Starts bin/l7egg-cli in `namespace` with `args`; resolves once it says that it enforces. */
export async function startEnforcer(
  namespace: Namespace,
  args: readonly string[],
  options: EnforcerOptions = {},
): Promise<RunningEnforcer> {
  started += 1;
  const { instance = `t${process.pid}-${started}`, log = 'json' } = options;
  // Before the process, so that it is closed after it: a namespace closes what is newest first.
  namespace.use({ [Symbol.dispose]: () => cleanLeft(namespace, instance) });
  const words = [...args, `-log=${log}`, `-instance=${instance}`];
  const enforcer = new RunningEnforcer(namespace.spawn(findCli(), words), instance, log);
  await enforcer.process.waitForLine(/^enforcing/, READY_LIMIT_MS);
  return enforcer;
}

function cleanLeft(namespace: Namespace, instance: string): void {
  if (existsSync(`${RUN_ROOT}/${instance}`)) namespace.must(findCli(), ['clean', `-instance=${instance}`]);
}
