import { type Families, one } from './families.ts';

/** What is known at once, whenever it is asked. */
export interface Live {
  /** Counters of the programs, by name. */
  counters(): { readonly [name: string]: number };
  readonly readers: { readonly count: number; readonly lost: number };
}

/** What runs. */
export interface Build {
  readonly version: string;
  /** Release of the kernel. */
  readonly kernel: string;
  readonly node: string;
}

/** Registers what is read at once. */
export function registerLiveFamilies(families: Families, { version, kernel, node }: Build, live: Live): void {
  families.gauge({
    name: 'l7egg_build_info',
    help: 'Always 1: the version of l7egg, of the kernel and of Node.js.',
    labels: ['version', 'kernel', 'node'],
    read: () => [{ labels: { version, kernel, node }, value: 1 }],
  });
  families.counter({
    name: 'l7egg_datapath_total',
    help: 'What the programs in the kernel count since they were first in force: packets passed and refused, answers learned and not taken by reason, replies to refused packets, and more.',
    labels: ['counter'],
    read: () => Object.entries(live.counters()).map(([counter, value]) => ({ labels: { counter }, value })),
  });
  families.counter({
    name: 'l7egg_ring_lost_events_total',
    help: 'Events that found no room in the ring of the kernel: more happened than could be read, and verdicts were given that are not counted here by reason.',
    labels: [],
    read: () => one(live.counters().ring_full ?? 0),
  });
  families.gauge({
    name: 'l7egg_event_readers',
    help: 'Readers of events: stdout, these metrics, and whoever observes.',
    labels: [],
    read: () => one(live.readers.count),
  });
  families.counter({
    name: 'l7egg_reader_lost_events_total',
    help: 'Events that readers did not get because they read too slowly, all readers together.',
    labels: [],
    read: () => one(live.readers.lost),
  });
}
