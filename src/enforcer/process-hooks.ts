import { closeSync, existsSync, openSync, rmSync } from 'node:fs';
import type { Pins } from '../datapath/pins.ts';
import type { DatapathState } from '../datapath/state.ts';
import type { CgroupHookInForce } from '../datapath/subject-hooks.ts';
import { SystemError } from '../errors.ts';
import { cgroup2Mount } from '../libbpf/cgroup2.ts';
import { attachCgroup, BpfLink, CgroupHook } from '../libbpf/link.ts';
import type { Listener } from './options.ts';

const HOOKS = [
  { program: 'l7egg_connect4', name: 'connect4', hook: CgroupHook.inet4Connect },
  { program: 'l7egg_connect6', name: 'connect6', hook: CgroupHook.inet6Connect },
  { program: 'l7egg_sendmsg4', name: 'sendmsg4', hook: CgroupHook.udp4Sendmsg },
  { program: 'l7egg_sendmsg6', name: 'sendmsg6', hook: CgroupHook.udp6Sendmsg },
  { program: 'l7egg_socket_end', name: 'end', hook: CgroupHook.sockOps },
];

/** The programs that note which process uses a socket, and tell what it carried when it is closed. They never refuse. */
export const PROCESS_PROGRAMS: readonly string[] = HOOKS.map(({ program }) => program);

/**
 * Attaches them to the root cgroup, and pins them. Without cgroup2 events name no process and tell no
 * ends of TCP connections of this host, and a remark says so.
 */
export function attachProcessHooks(state: DatapathState, pins: Pins, listener: Listener): void {
  const root = cgroup2Mount();
  if (root === undefined) {
    listener.remark(
      'cgroup2 is not mounted: events will not name the process, nor tell what TCP connections carried',
      'warning',
    );
    return;
  }
  const cgroup = openSync(root, 'r');
  try {
    for (const { program, name, hook } of HOOKS) {
      const path = pins.cgroupLink(name);
      using pinned = BpfLink.openPinned(path);
      const info = pinned?.info();
      if (info?.kind === 'cgroup' && info.cgroupId !== 0n) {
        pinned?.update(state.program(program));
        continue;
      }
      if (existsSync(path)) rmSync(path);
      using link = attachCgroup(state.program(program), cgroup, hook);
      link.pin(path);
    }
  } catch (thrown) {
    // Names of processes are a service, not the enforcement: it goes on without them, and says so.
    if (!(thrown instanceof SystemError)) throw thrown;
    listener.remark(
      `not all events will name the process and tell what TCP connections carried: ${thrown.message}`,
      'warning',
    );
  } finally {
    closeSync(cgroup);
  }
}

/** Those of them that run, in the order of attaching. Throws SystemError. */
export function processHooksInForce(pins: Pins): CgroupHookInForce[] {
  return HOOKS.flatMap(({ name }) => {
    using pinned = BpfLink.openPinned(pins.cgroupLink(name));
    const info = pinned?.info();
    return info?.kind === 'cgroup' && info.cgroupId !== 0n ? [{ name, progId: info.progId }] : [];
  });
}
