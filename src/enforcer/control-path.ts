import { RUN_ROOT } from './run-dir.ts';

/** Where the process of an instance takes requests. */
export function controlPath(instance: string): string {
  return `${RUN_ROOT}/${instance}/control.sock`;
}
