#define _GNU_SOURCE
#include "confine.h"
#include "mounts.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>

static bool is_one_of(const char *text, const char *const *list)
{
	for (; *list; list++)
		if (strcmp(text, *list) == 0)
			return true;
	return false;
}

/*
 * Root owns the files of the kernel and needs no capability to write them: core_pattern and modprobe name programs
 * that the kernel starts outside. Others may not write them, and can go on to mount a /proc in a user namespace.
 */
static void freeze_proc(const char *proc)
{
	static const char *const names[] = { "sys", "sysrq-trigger", "irq", "bus", "fs", "acpi", "scsi", NULL };

	for (const char *const *name = names; *name; name++) {
		char path[PATH_MAX];

		snprintf(path, sizeof(path), "%s/%s", proc, *name);
		freeze(path);
	}
}

void guard_kernel_mounts(bool is_root)
{
	static const char *const cgroups[] = { "cgroup", "cgroup2", NULL };
	/* binfmt_misc and configfs can have the kernel start programs and send packets. */
	static const char *const roots_only[] = { "sysfs",    "configfs", "debugfs",     "tracefs",  "securityfs", "pstore",
						  "efivarfs", "fusectl",  "binfmt_misc", "selinuxfs", NULL };

	for (struct mount_point *mount = read_mounts(); mount; mount = mount->next) {
		if (is_one_of(mount->fs_type, cgroups))
			set_read_only(mount->path, false);
		else if (strcmp(mount->fs_type, "bpf") == 0) {
			mount_empty(mount->path, "mode=0755,size=64k");
			set_read_only(mount->path, false);
		} else if (is_root && is_one_of(mount->fs_type, roots_only))
			set_read_only(mount->path, false);
		else if (is_root && strcmp(mount->fs_type, "proc") == 0)
			freeze_proc(mount->path);
	}
}

void replace_proc(void)
{
	for (struct mount_point *mount_point = read_mounts(); mount_point; mount_point = mount_point->next)
		if (strcmp(mount_point->fs_type, "proc") == 0 && strcmp(mount_point->root, "/") == 0 &&
		    mount("proc", mount_point->path, "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL) < 0)
			fail("Cannot mount \"%s\" anew", mount_point->path);
}
