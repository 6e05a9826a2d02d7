#define _GNU_SOURCE
#include "confine.h"

#include <fcntl.h>
#include <linux/landlock.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <unistd.h>

/* linux/landlock.h of the build host may be older than the kernel that runs. */
struct ruleset {
	uint64_t handled_access_fs;
	uint64_t handled_access_net; /* version 4 */
	uint64_t scoped; /* version 6 */
};

enum { SCOPE_ABSTRACT_UNIX_SOCKET = 1 << 0, SCOPE_SIGNAL = 1 << 1, ACCESS_FS_REFER = 1 << 13 };

/* 0 when the kernel has none, or was started without it. */
int landlock_abi(void)
{
	long abi = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);

	return abi < 0 ? 0 : abi;
}

/* The least that makes a domain before version 6: renames between directories, which "/" then allows everywhere. */
static void allow_renames(int ruleset)
{
	struct landlock_path_beneath_attr everything = { .allowed_access = ACCESS_FS_REFER };

	everything.parent_fd = open("/", O_PATH | O_CLOEXEC);
	if (everything.parent_fd < 0 ||
	    syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &everything, 0) < 0)
		fail("Cannot add a landlock rule");
	close(everything.parent_fd);
}

/*
 * Any domain keeps ptrace(2), process_vm_readv(2), pidfd_getfd(2) and the links of /proc/PID inside itself. A domain
 * that only scopes leaves mount(2) alone; one that handles files, as older versions need, refuses it to all inside.
 */
void enter_landlock_domain(int abi)
{
	bool can_scope = abi >= 6;
	struct ruleset rules = {
		.handled_access_fs = can_scope ? 0 : ACCESS_FS_REFER,
		.scoped = can_scope ? SCOPE_ABSTRACT_UNIX_SOCKET | SCOPE_SIGNAL : 0,
	};
	size_t size = can_scope ? sizeof(rules) : sizeof(rules.handled_access_fs);
	int ruleset = syscall(SYS_landlock_create_ruleset, &rules, size, 0);

	if (ruleset < 0)
		fail("Cannot make a landlock ruleset");
	if (!can_scope) {
		allow_renames(ruleset);
		remark("before Linux 6.12 abstract unix sockets of outside programs are in the command's reach, it may signal "
		       "those of its user, and it mounts nothing in namespaces of its own");
	}
	if (syscall(SYS_landlock_restrict_self, ruleset, 0) < 0)
		fail("Cannot enter a landlock domain");
	close(ruleset);
}
