import { Capability, type CapabilityNumber, keepCapabilities, refuseCalls } from '../libbpf/privileges.ts';
import { type FilteredCall, filteredCalls } from '../libbpf/syscall-filter.ts';

/** Programs and maps are loaded, attached and read for as long as we run. */
const ALWAYS: readonly CapabilityNumber[] = [Capability.bpf, Capability.netAdmin, Capability.perfmon];
/**
 * A policy file may name a subject at any time. Files and cgroups of other users: DAC_READ_SEARCH. Whose a socket is and
 * where a container's network lies: SYS_PTRACE; to enter that: SYS_ADMIN. A container's first process is held: KILL.
 */
const FOR_SUBJECTS: readonly CapabilityNumber[] = [
  Capability.dacReadSearch,
  Capability.sysPtrace,
  Capability.sysAdmin,
  Capability.kill,
];
const CALLS_FOR_SUBJECTS: readonly FilteredCall[] = ['setns', 'pidfd_getfd'];

/**
 * Gives up what a running enforcer does not need: capabilities of this thread, and in all threads the calls by which one
 * gets further. Nothing can be executed from now on. Throws SystemError.
 * @param mayHaveSubjects not the host only, or its policies come from files, which may change
 */
export function giveUpPrivileges(mayHaveSubjects: boolean): void {
  refuseCalls(filteredCalls().filter((call) => !(mayHaveSubjects && CALLS_FOR_SUBJECTS.includes(call))));
  keepCapabilities(mayHaveSubjects ? [...ALWAYS, ...FOR_SUBJECTS] : ALWAYS);
}
