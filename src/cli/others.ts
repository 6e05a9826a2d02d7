import { listInstances } from '../datapath/pins.ts';

/** For who asked about an instance that is not there: those that are. Empty when there is none. */
export function mentionOthers(instance: string): string {
  const others = listInstances().filter((name) => name !== instance);
  return others.length === 0 ? '' : ` (there is ${others.map((name) => `-instance=${name}`).join(', ')})`;
}
