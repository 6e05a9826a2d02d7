#define _GNU_SOURCE
#include "confine.h"
#include "mounts.h"

#include <errno.h>
#include <limits.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

/* Large enough for sockets and small files of a session; programs that find it full say so. */
#define OWN_OPTIONS "mode=0700,uid=%u,gid=%u,size=64m"

static bool is_one_of(const char *text, const char *const *list)
{
	for (; *list; list++)
		if (strcmp(text, *list) == 0)
			return true;
	return false;
}

/* What is not there needs no hiding. */
static bool find(const char *path, struct stat *status)
{
	if (stat(path, status) == 0)
		return true;
	if (errno != ENOENT && errno != ENOTDIR && errno != ELOOP)
		fail("Cannot look at \"%s\"", path);
	return false;
}

static void mount_empty(const char *path, const char *options)
{
	if (mount("l7egg", path, "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, options) < 0)
		fail("Cannot hide \"%s\"", path);
}

/* Answers whether a directory was covered, which is to be made read-only once it is filled. */
static bool hide(const char *path)
{
	struct stat status;

	if (!find(path, &status))
		return false;
	if (S_ISDIR(status.st_mode)) {
		mount_empty(path, "mode=0755,size=64k");
		return true;
	}
	if (mount("/dev/null", path, NULL, MS_BIND, NULL) < 0)
		fail("Cannot hide \"%s\"", path);
	return false;
}

static void freeze(const char *path)
{
	struct stat status;

	if (!find(path, &status))
		return;
	if (mount(path, path, NULL, MS_BIND | MS_REC, NULL) < 0)
		fail("Cannot make \"%s\" a mount of its own", path);
	set_read_only(path, true);
}

/* Nothing is made outside: only below a directory that is an empty one of ours by now. */
static bool is_below_hidden(const struct settings *settings, const char *path)
{
	for (size_t i = 0; i < settings->change_count; i++) {
		const struct view_change *change = &settings->changes[i];
		size_t length = strlen(change->path);
		struct stat status;

		if (change->path == path)
			return false;
		if (change->kind == HIDE && strncmp(path, change->path, length) == 0 && path[length] == '/' &&
		    find(change->path, &status))
			return true;
	}
	return false;
}

static void make_directories(const char *path)
{
	char *partial = strdup(path);

	if (!partial)
		fail("Cannot hold the path \"%s\"", path);
	for (char *end = partial; end;) {
		end = strchr(end + 1, '/');
		if (end)
			*end = '\0';
		if (mkdir(partial, 0755) < 0 && errno != EEXIST)
			fail("Cannot make \"%s\" in the place of what is hidden", partial);
		if (end)
			*end = '/';
	}
	free(partial);
}

static void give_own(const struct settings *settings, const char *path)
{
	char options[sizeof(OWN_OPTIONS) + 20];
	struct stat status;

	if (!find(path, &status)) {
		if (!is_below_hidden(settings, path))
			return;
		make_directories(path);
	}
	snprintf(options, sizeof(options), OWN_OPTIONS, settings->uid, settings->gid);
	mount_empty(path, options);
}

static void apply_changes(const struct settings *settings)
{
	size_t count = settings->change_count;
	int *trees = calloc(count + 1, sizeof(*trees));
	bool *is_covered = calloc(count + 1, sizeof(*is_covered));

	if (!trees || !is_covered)
		fail("Cannot hold the changes of the view");
	for (size_t i = 0; i < count; i++) {
		if (settings->changes[i].kind != KEEP)
			continue;
		trees[i] = clone_tree(settings->changes[i].path);
		if (trees[i] < 0 && errno != ENOENT)
			fail("Cannot keep \"%s\"", settings->changes[i].path);
	}
	for (size_t i = 0; i < count; i++) {
		const char *path = settings->changes[i].path;

		switch (settings->changes[i].kind) {
		case HIDE:
			is_covered[i] = hide(path);
			break;
		case KEEP:
			if (trees[i] < 0)
				break;
			make_directories(path);
			attach_tree(trees[i], path);
			break;
		case OWN:
			give_own(settings, path);
			break;
		case FREEZE:
			freeze(path);
			break;
		}
	}
	for (size_t i = 0; i < count; i++)
		if (is_covered[i])
			set_read_only(settings->changes[i].path, false);
	free(trees);
	free(is_covered);
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

static void guard_kernel_mounts(bool is_root)
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

/* The one of the pid namespace that we are in now; in any other one outside processes would be seen. */
static void replace_proc(void)
{
	for (struct mount_point *mount_point = read_mounts(); mount_point; mount_point = mount_point->next)
		if (strcmp(mount_point->fs_type, "proc") == 0 && strcmp(mount_point->root, "/") == 0 &&
		    mount("proc", mount_point->path, "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL) < 0)
			fail("Cannot mount \"%s\" anew", mount_point->path);
}

void enter_own_view(const struct settings *settings)
{
	char *here = getcwd(NULL, 0);

	if (!here)
		fail("Cannot tell the working directory");
	if (unshare(CLONE_NEWNS) < 0)
		fail("Cannot make a mount namespace");
	/* What is mounted outside later comes in, as automounters need it; nothing goes out. */
	if (mount(NULL, "/", NULL, MS_REC | MS_SLAVE, NULL) < 0)
		fail("Cannot part the mounts from those outside");
	if (settings->isolation == BY_PID_NAMESPACE) {
		replace_proc();
		remark("this kernel has no landlock: the command has process ids of its own, and abstract unix sockets "
		       "of outside programs are in its reach");
	}
	guard_kernel_mounts(settings->uid == 0);
	apply_changes(settings);
	/* The directory that was there before something was mounted over it would still be the working one. */
	if (chdir(here) < 0)
		fail("Cannot enter the working directory \"%s\" with what is hidden", here);
	free(here);
}
