import { listInstances } from '../datapath/pins.ts';

/** For who asked about an instance that is not there: those that are. Empty when there is none. */
export function mentionOthers(instance: string): string {
  const others = listInstances().filter((name) => name !== instance);
  return others.length === 0 ? '' : ` (there is ${others.map((name) => `-instance=${name}`).join(', ')})`;
}

/** For who wants events of an instance whose process does not run: what is in force without it, or those that are. */
export function nobodyTells(instance: string): string {
  if (!listInstances().includes(instance)) return `no process tells of events${mentionOthers(instance)}`;
  return 'no process tells of events; what is in force stays so, and the next start tells what the kernel has kept';
}
