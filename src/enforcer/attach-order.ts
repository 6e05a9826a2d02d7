import type { HookInForce } from '../datapath/attach.ts';
import { SystemError } from '../errors.ts';
import { type Direction, hasTcx, queryTcx } from '../libbpf/link.ts';
import { BpfProgram } from '../libbpf/program.ts';
import { listFilters } from '../netlink/filters.ts';

/** A program on one side of an interface; a filter without a program has its classifier's name, such as `flower`. */
export interface OrderedProgram {
  readonly kind: 'tcx' | 'clsact';
  readonly program: string;
  readonly id?: number;
  /** It is this instance's. */
  readonly ours: boolean;
}

/**
 * What runs on one side of an interface of this thread's network namespace, first to run first: the programs of tcx,
 * then the filters of clsact. `ours`: what of this instance is in force there. Empty when the interface is gone. Throws
 * SystemError.
 */
export function readOrder(
  ifindex: number,
  direction: Direction,
  ours: HookInForce | undefined,
): OrderedProgram[] {
  const links = ifDevice(() => (hasTcx() ? queryTcx(ifindex, direction) : []));
  const filters = ifDevice(() => listFilters(ifindex, direction));
  return [
    ...links.map(({ progId, linkId }): OrderedProgram => {
      const isOurs = ours !== undefined && linkId !== 0 && linkId === ours.linkId;
      return { kind: 'tcx', program: nameOf(progId), id: progId, ours: isOurs };
    }),
    ...filters.map(({ classifier, programId }): OrderedProgram => {
      if (programId === undefined) return { kind: 'clsact', program: classifier, ours: false };
      const isOurs = ours?.linkId === 0 && ours.progId === programId;
      return { kind: 'clsact', program: nameOf(programId), id: programId, ours: isOurs };
    }),
  ];
}

function nameOf(progId: number): string {
  using program = BpfProgram.find(progId);
  return program?.info().name ?? `program ${progId}`;
}

/* It may be gone: ENODEV of bpf, EINVAL of netlink. */
function ifDevice<T>(list: () => T[]): T[] {
  try {
    return list();
  } catch (thrown) {
    if (thrown instanceof SystemError && ['ENODEV', 'EINVAL'].includes(thrown.code)) return [];
    throw thrown;
  }
}
