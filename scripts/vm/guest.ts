import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createWriteStream } from 'node:fs';
import { join } from 'node:path';
import type { Outcome, Part } from './parts.ts';

/** Where a guest runs, and where its words go. */
export interface GuestPlace {
  readonly checkout: string;
  /** A copy of what is built, which nobody changes meanwhile; commands run there. */
  readonly snapshot: string;
  /** The files that lie over those of the host when systemd is process 1. */
  readonly layer: string;
  /** A path without its ending: `.log` has what the guest wrote, `.kernel.log` what its kernel said. */
  readonly log: string;
}

/** Boots a kernel for one part, and resolves at the guest's end. On `signal` the guest is ended, and nothing of it left. */
export async function runGuest(
  release: string,
  part: Part,
  place: GuestPlace,
  signal: AbortSignal,
): Promise<Outcome> {
  const { boots, limitSeconds } = part;
  const words = boots === 'systemd' ? [] : boots.command;
  const log = createWriteStream(`${place.log}.log`);
  // If we are killed, it ends as if it had been told to.
  const argv = ['--pdeathsig', 'TERM', join(place.checkout, 'scripts/vm/boot.sh'), release, ...words];
  const guest = spawn('setpriv', argv, {
    cwd: place.snapshot,
    env: {
      ...process.env,
      VM_LIMIT: `${limitSeconds}`,
      VM_LOG: `${place.log}.kernel.log`,
      ...(boots === 'systemd' && { VM_LAYER: place.layer }),
    },
    stdio: ['ignore', 'pipe', 'pipe'],
    signal,
  });
  guest.on('error', () => {}); // ended by `signal`, which the caller knows
  let output = '';
  for (const stream of [guest.stdout, guest.stderr]) {
    stream.setEncoding('utf8');
    stream.on('data', (text: string) => {
      output += text;
      log.write(text);
    });
  }
  const code = await new Promise<number>((resolve) => guest.once('close', (exit) => resolve(exit ?? 1)));
  log.end();
  await once(log, 'finish');
  return { code, output };
}
