#define _GNU_SOURCE
#include "confine.h"
#include "mounts.h"

#include <errno.h>
#include <fcntl.h>
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
#define EMPTY_OPTIONS "mode=0755,size=64m"

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

/* Nothing is made outside: only below a directory that is an empty one of ours by now. */
static bool is_below_hidden(const struct settings *settings, const char *path)
{
	for (size_t i = 0; i < settings->change_count; i++) {
		const struct view_change *change = &settings->changes[i];
		size_t length = strlen(change->path);
		struct stat status;

		if (change->path == path)
			return false;
		if ((change->kind == HIDE || change->kind == EMPTY) && strncmp(path, change->path, length) == 0 && path[length] == '/' &&
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

/* A place for what is kept, of its kind: what is mounted on a directory has to be one. */
static void keep(int tree, const char *path)
{
	struct stat status;

	if (fstat(tree, &status) < 0)
		fail("Cannot look at \"%s\"", path);
	if (S_ISDIR(status.st_mode)) {
		make_directories(path);
	} else {
		char *parent = strdup(path);
		int fd;

		if (!parent)
			fail("Cannot hold the path \"%s\"", path);
		*strrchr(parent, '/') = '\0';
		make_directories(parent);
		free(parent);
		fd = open(path, O_CREAT | O_CLOEXEC, 0644);
		if (fd < 0)
			fail("Cannot make \"%s\" in the place of what is hidden", path);
		close(fd);
	}
	attach_tree(tree, path);
}

static void empty(const char *path)
{
	struct stat status;

	if (find(path, &status))
		mount_empty(path, EMPTY_OPTIONS);
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
			if (trees[i] >= 0)
				keep(trees[i], path);
			break;
		case EMPTY:
			empty(path);
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
	/* Else a program that is to get a capability which is out of reach, as ping does, is not started at all. */
	ignore_file_privileges();
	if (settings->isolation == BY_PID_NAMESPACE) {
		replace_proc();
		remark("this kernel has no landlock: the command has process ids of its own, and abstract unix sockets of "
		       "outside programs are in its reach");
	}
	guard_kernel_mounts(settings->uid == 0);
	apply_changes(settings);
	/* The directory that was there before something was mounted over it would still be the working one. */
	if (chdir(here) < 0)
		fail("Cannot enter the working directory \"%s\" with what is hidden", here);
	free(here);
}
