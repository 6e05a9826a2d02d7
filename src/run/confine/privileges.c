#define _GNU_SOURCE
#include "confine.h"

#include <errno.h>
#include <grp.h>
#include <linux/capability.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

/*
 * What a root command needs to build, to install packages and to serve: the owner and the mode of files, other
 * users, low ports, limits. None of these makes packets that are not judged, gives a view of outside processes or
 * changes mounts. Not here although container engines give it: MKNOD, a device node made anew is not hidden.
 */
static const int kept[] = {
	CAP_CHOWN, CAP_DAC_OVERRIDE, CAP_FOWNER, CAP_FSETID, CAP_KILL, CAP_SETGID, CAP_SETUID, CAP_SETPCAP,
	CAP_SETFCAP, CAP_NET_BIND_SERVICE, CAP_SYS_CHROOT, CAP_AUDIT_WRITE, CAP_IPC_LOCK, CAP_SYS_NICE,
	CAP_SYS_RESOURCE,
};

static unsigned long long kept_mask(void)
{
	unsigned long long mask = 0;

	for (size_t i = 0; i < sizeof(kept) / sizeof(*kept); i++)
		mask |= 1ULL << kept[i];
	return mask;
}

/* A kernel that knows more capabilities than our headers loses these, too. */
static void drop_bounding_set(unsigned long long mask)
{
	for (int capability = 0; capability < 64; capability++) {
		if (mask >> capability & 1)
			continue;
		if (prctl(PR_CAPBSET_DROP, capability) < 0) {
			if (errno == EINVAL)
				return; /* past the last one */
			fail("Cannot drop capability %d", capability);
		}
	}
}

static void hold_capabilities(unsigned long long mask)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3];

	if (syscall(SYS_capget, &header, data) < 0)
		fail("Cannot read the capabilities");
	for (int word = 0; word < _LINUX_CAPABILITY_U32S_3; word++) {
		data[word].permitted &= (unsigned int)(mask >> (32 * word));
		data[word].effective = data[word].permitted;
		data[word].inheritable = 0;
	}
	if (syscall(SYS_capset, &header, data) < 0)
		fail("Cannot drop capabilities");
}

void drop_privileges(const struct settings *settings)
{
	bool is_root = settings->uid == 0;

	drop_bounding_set(kept_mask());
	if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) < 0)
		fail("Cannot clear the ambient capabilities");
	if (setgroups(settings->group_count, settings->groups) < 0)
		fail("Cannot take the groups of the caller");
	if (setresgid(settings->gid, settings->gid, settings->gid) < 0)
		fail("Cannot become group %u", settings->gid);
	if (setresuid(settings->uid, settings->uid, settings->uid) < 0)
		fail("Cannot become user %u", settings->uid);
	hold_capabilities(is_root ? kept_mask() : 0);
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		fail("Cannot set no_new_privs");
}
